import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { RemitAgent, type Answer } from '#agent';
import type { Bus, ReceivedMessage } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import { checkCharter, type Action, type DeadLetter } from '#domain';
import { activateCharter } from '#service';
import { charterTextAt, type Story, type StoryStep } from './story.js';

/** One finding as the demo prints it. */
export interface PlayedFinding {
  readonly layer: string;
  readonly rule: string;
  readonly effect: string;
  readonly enforced: boolean;
  readonly reason: string;
}

/** What came of one step, and how it differs from what the story says. */
export interface PlayedStep {
  readonly story: string;
  readonly step: string;
  readonly agent: string;
  readonly action: string;
  readonly outcome: string;
  readonly wouldBe: string;
  readonly findings: readonly PlayedFinding[];
  /** From publishing the intent to knowing its decision, ms. */
  readonly ms: number;
  readonly chainId: string | undefined;
  /** Empty: as the story says. */
  readonly differences: readonly string[];
}

const ANSWER_WITHIN_MS = 15_000;

/** Plays stories against a running Remit, as real producers and consumers on its bus. */
export class StoryPlayer {
  readonly #agents = new Map<string, RemitAgent>();
  readonly #deadLetters: DeadLetter[] = [];
  #stopFollowing: (() => Promise<void>) | undefined;
  readonly #run = randomUUID().slice(0, 8);

  constructor(
    private readonly bus: Bus,
    private readonly root: string,
    /** ms since the epoch; only moves the hours of charters. */
    private readonly now: () => number,
  ) {}

  async start(): Promise<void> {
    const following = await this.bus.follow({ topics: [TOPICS.deadLetters.name], from: 'end' }, (messages) => {
      for (const message of messages) this.#keepDeadLetter(message);
    });
    this.#stopFollowing = () => following.stop();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.close()));
    await this.#stopFollowing?.();
  }

  /** Puts the story's charter in force and plays its steps in order. */
  async *play(story: Story): AsyncGenerator<PlayedStep> {
    const text = charterTextAt(readFileSync(`${this.root}/${story.charter}`, 'utf8'), story.hours, this.now());
    const checked = checkCharter(text, sha256);
    if (!checked.ok) throw new Error(`${story.charter} is refused: ${JSON.stringify(checked.problems)}`);
    await activateCharter(this.bus, { text, charter: checked.charter, activatedBy: `story ${story.story}` });

    const answers = new Map<string, Answer>();
    for (const step of story.steps) {
      yield step.raw === undefined
        ? await this.#propose(story, step, answers)
        : await this.#sendRaw(story, step, step.raw);
    }
  }

  async #propose(story: Story, step: StoryStep, answers: Map<string, Answer>): Promise<PlayedStep> {
    const agent = await this.#agent(step.agent);
    const cause = step.caused_by === undefined ? undefined : answers.get(step.caused_by);
    if (step.caused_by !== undefined && cause === undefined) throw new Error(`no earlier step: ${step.caused_by}`);
    const began = performance.now();
    const answer = await agent.propose(step.action as Action, {
      timeoutMs: ANSWER_WITHIN_MS,
      ...(step.trigger ? { trigger: step.trigger } : {}),
      ...(step.on_behalf_of === undefined ? {} : { onBehalfOf: step.on_behalf_of }),
      ...(cause ? { cause } : {}),
      ...(story.chain === undefined ? {} : { chainId: `${story.chain}-${this.#run}` }),
    });
    const ms = performance.now() - began;
    answers.set(step.step, answer);
    if (step.then !== undefined && answer.outcome === 'allow') await agent.report(answer, step.then);

    const { decision } = answer;
    const findings = (decision?.verdicts ?? []).flatMap(({ layer, findings: found }) =>
      found.map(({ rule, effect, enforced, reason }) => ({ layer, rule, effect, enforced, reason })),
    );
    return {
      story: story.story,
      step: step.step,
      agent: step.agent,
      action: `${answer.action.type} ${answer.action.target}`,
      outcome: decision?.outcome ?? answer.code ?? answer.outcome,
      wouldBe: decision?.wouldBe ?? answer.outcome,
      findings,
      ms,
      chainId: answer.chainId,
      differences: differencesOf(step, {
        outcome: decision?.outcome ?? `none (${answer.code ?? 'no code'})`,
        wouldBe: decision?.wouldBe,
        rules: findings.map((finding) => `${finding.layer}/${finding.rule}`),
      }),
    };
  }

  async #sendRaw(story: Story, step: StoryStep, raw: string): Promise<PlayedStep> {
    const began = performance.now();
    const [position] = await this.bus.publish([
      {
        topic: TOPICS.agentActions.name,
        key: step.agent,
        value: raw,
        headers: { 'content-type': 'application/cloudevents+json' },
      },
    ]);
    let letter: DeadLetter | undefined;
    while (letter === undefined && performance.now() - began < ANSWER_WITHIN_MS) {
      letter = this.#deadLetters.find((one) => one.partition === position?.partition && one.offset === position.offset);
      if (letter === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const wanted = 'dead_letter' in step.expect ? step.expect.dead_letter : undefined;
    return {
      story: story.story,
      step: step.step,
      agent: step.agent,
      action: JSON.stringify(raw),
      outcome: letter === undefined ? 'none' : 'dead letter',
      wouldBe: letter === undefined ? 'none' : 'dead letter',
      findings: letter
        ? [{ layer: '-', rule: letter.code, effect: 'unreadable', enforced: true, reason: letter.reason }]
        : [],
      ms: performance.now() - began,
      chainId: undefined,
      differences:
        letter?.code === wanted ? [] : [`expected a dead letter ${String(wanted)}, got ${letter?.code ?? 'none'}`],
    };
  }

  async #agent(agentId: string): Promise<RemitAgent> {
    const known = this.#agents.get(agentId);
    if (known !== undefined) return known;
    const agent = await RemitAgent.connect({ bus: this.bus, agentId });
    this.#agents.set(agentId, agent);
    return agent;
  }

  #keepDeadLetter(message: ReceivedMessage): void {
    const reading = readEvent(EVENTS.deadLetter, message);
    if (reading.ok) this.#deadLetters.push(reading.event.data);
  }
}

function differencesOf(
  step: StoryStep,
  got: { outcome: string; wouldBe: string | undefined; rules: readonly string[] },
): string[] {
  if (!('outcome' in step.expect)) return [`expected a dead letter, got ${got.outcome}`];
  const { outcome, wouldBe, rules } = step.expect;
  const differences: string[] = [];
  if (got.outcome !== outcome) differences.push(`expected ${outcome}, got ${got.outcome}`);
  if (wouldBe !== undefined && got.wouldBe !== wouldBe) {
    differences.push(`expected wouldBe ${wouldBe}, got ${String(got.wouldBe)}`);
  }
  const missing = rules.filter((rule) => !got.rules.includes(rule));
  const extra = got.rules.filter((rule) => !rules.includes(rule));
  if (missing.length > 0) differences.push(`missing ${missing.join(', ')}`);
  if (extra.length > 0) differences.push(`not expected ${extra.join(', ')}`);
  return differences;
}
