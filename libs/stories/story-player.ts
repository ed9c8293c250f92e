import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { RemitAgent, type Answer, type ProposeOptions } from '#agent';
import type { Bus, ReceivedMessage } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import { checkCharter, durationMs, type Action, type DeadLetter, type Decision } from '#domain';
import { charterTextOf, type Story, type StoryOrder, type StoryProposal } from './story.js';

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

/** An intent that waits for people. */
export interface HeldIntent {
  readonly agentId: string;
  readonly intentId: string;
  readonly actionDigest: string;
}

/** The people of a story, at their door. Each call resolves once what they ordered binds every later intent. */
export interface People {
  activate(charterText: string): Promise<void>;
  order(order: Exclude<StoryOrder, { approve: unknown } | { reject: unknown }>): Promise<void>;
  answer(
    held: HeldIntent,
    verdict: 'approve' | 'reject',
    person: { by: string; roles: readonly string[]; reason: string },
  ): Promise<void>;
}

type Expectation = StoryProposal['expect'];

/** A proposal on its way: `first` is its answer, or the hold that comes before it. */
interface Proposed {
  readonly step: StoryProposal;
  readonly first: Promise<({ readonly hold: Decision } | { readonly answer: Answer }) & { readonly ms: number }>;
  /** Once it has acted, if it does. */
  readonly final: Promise<Answer>;
}

/** A busy machine is slow; it is not wrong. */
const ANSWER_WITHIN_MS = 120_000;

/** Plays stories against a running Remit, as real producers and consumers on its bus. */
export class StoryPlayer {
  readonly #agents = new Map<string, RemitAgent>();
  readonly #deadLetters: DeadLetter[] = [];
  readonly #run = randomUUID().slice(0, 8);
  #stopFollowing: (() => Promise<void>) | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly people: People,
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
    const text = charterTextOf(story, readFileSync(`${this.root}/${story.charter}`, 'utf8'), this.now());
    const checked = checkCharter(text, sha256);
    if (!checked.ok) throw new Error(`${story.charter} is refused: ${JSON.stringify(checked.problems)}`);
    await this.people.activate(text);

    const proposed = new Map<string, Proposed>();
    for (const step of story.steps) {
      if ('wait' in step) await sleep(durationMs(step.wait));
      else if ('action' in step) {
        const proposal = await this.#propose(story, step, proposed);
        proposed.set(step.step, proposal);
        yield await this.#decided(story, proposal);
      } else if ('raw' in step) yield await this.#sendRaw(story, step);
      else if ('settles' in step) yield await this.#settled(story, step, earlier(proposed, step.settles));
      else await this.#order(step, proposed);
    }
  }

  async #order(order: StoryOrder, proposed: ReadonlyMap<string, Proposed>): Promise<void> {
    if (!('approve' in order) && !('reject' in order)) return this.people.order(order);
    const [verdict, person] =
      'approve' in order ? (['approve', order.approve] as const) : (['reject', order.reject] as const);
    const first = await earlier(proposed, person.held).first;
    if (!('hold' in first)) throw new Error(`${person.held} is not held`);
    const { agentId, intentId, action } = first.hold;
    await this.people.answer({ agentId, intentId, actionDigest: action.digest }, verdict, person);
  }

  async #propose(story: Story, step: StoryProposal, proposed: ReadonlyMap<string, Proposed>): Promise<Proposed> {
    const agent = await this.#agent(step.agent);
    const cause = step.caused_by === undefined ? undefined : await earlier(proposed, step.caused_by).final;
    const began = performance.now();
    const { promise: held, resolve: onHold } = Promise.withResolvers<Decision>();
    const final = answerOf(agent, step, {
      timeoutMs: ANSWER_WITHIN_MS,
      onHold,
      ...(step.trigger ? { trigger: step.trigger } : {}),
      ...(step.on_behalf_of === undefined ? {} : { onBehalfOf: step.on_behalf_of }),
      ...(cause ? { cause } : {}),
      ...(story.chain === undefined ? {} : { chainId: `${story.chain}-${this.#run}` }),
    });
    const first = Promise.race([
      held.then((hold) => ({ hold, ms: performance.now() - began })),
      final.then((answer) => ({ answer, ms: answer.waitedMs })),
    ]);
    return { step, first, final };
  }

  async #decided(story: Story, { step, first }: Proposed): Promise<PlayedStep> {
    const given = await first;
    if ('hold' in given) return this.#played(story, step.step, step, given.hold, undefined, given.ms);
    return this.#played(story, step.step, step, given.answer.decision, given.answer, given.ms);
  }

  async #settled(story: Story, step: { step: string; expect: Expectation }, held: Proposed): Promise<PlayedStep> {
    const began = performance.now();
    const answer = await held.final;
    return this.#played(
      story,
      step.step,
      { ...held.step, ...step },
      answer.decision,
      answer,
      performance.now() - began,
    );
  }

  #played(
    story: Story,
    name: string,
    step: StoryProposal,
    decision: Decision | undefined,
    answer: Answer | undefined,
    ms: number,
  ): PlayedStep {
    const findings = (decision?.verdicts ?? []).flatMap(({ layer, findings: found }) =>
      found.map(({ rule, effect, enforced, reason }) => ({ layer, rule, effect, enforced, reason })),
    );
    const outcome = decision?.outcome ?? answer?.code ?? 'none';
    return {
      story: story.story,
      step: name,
      agent: step.agent,
      action: `${String(step.action['type'])} ${String(step.action['target'])}`,
      outcome,
      wouldBe: decision?.wouldBe ?? outcome,
      findings,
      ms,
      chainId: decision?.chainId ?? answer?.chainId,
      differences: differencesOf(step.expect, {
        outcome,
        wouldBe: decision?.wouldBe,
        rules: findings.map((finding) => `${finding.layer}/${finding.rule}`),
      }),
    };
  }

  async #sendRaw(
    story: Story,
    step: { step: string; agent: string; raw: string; expect: Expectation },
  ): Promise<PlayedStep> {
    const began = performance.now();
    const [position] = await this.bus.publish([
      {
        topic: TOPICS.agentActions.name,
        key: step.agent,
        value: step.raw,
        headers: { 'content-type': 'application/cloudevents+json' },
      },
    ]);
    let letter: DeadLetter | undefined;
    while (letter === undefined && performance.now() - began < ANSWER_WITHIN_MS) {
      letter = this.#deadLetters.find((one) => one.partition === position?.partition && one.offset === position.offset);
      if (letter === undefined) await sleep(5);
    }
    const wanted = 'dead_letter' in step.expect ? step.expect.dead_letter : undefined;
    const outcome = letter === undefined ? 'none' : 'dead letter';
    return {
      story: story.story,
      step: step.step,
      agent: step.agent,
      action: JSON.stringify(step.raw),
      outcome,
      wouldBe: outcome,
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

/** Proposes, and acts where the story says so. */
async function answerOf(agent: RemitAgent, step: StoryProposal, options: ProposeOptions): Promise<Answer> {
  const action = step.action as Action;
  if (step.then === undefined) return agent.propose(action, options);
  const act = await agent.act(
    action,
    () => {
      if (step.then === 'failed') throw new Error('it failed, as the story says');
    },
    options,
  );
  if ('reportError' in act) throw new Error(`${step.step}: the outcome is not on record: ${String(act.reportError)}`);
  return act.answer;
}

function earlier(proposed: ReadonlyMap<string, Proposed>, step: string): Proposed {
  const found = proposed.get(step);
  if (found === undefined) throw new Error(`no earlier step proposes: ${step}`);
  return found;
}

function differencesOf(
  expect: Expectation,
  got: { outcome: string; wouldBe: string | undefined; rules: readonly string[] },
): string[] {
  if (!('outcome' in expect)) return [`expected a dead letter, got ${got.outcome}`];
  const { outcome, wouldBe, rules } = expect;
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
