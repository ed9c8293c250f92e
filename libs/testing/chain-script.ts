import { z } from 'zod';
import { EVENTS, sha256, TOPICS, writeEvent } from '#contracts';
import {
  actionDigestOf,
  chainIdOf,
  decisionIdOf,
  heldRequestId,
  intentDigestOf,
  layerSchema,
  outcomeSchema,
  stampedCauseSchema,
  type Action,
  type AppendedAt,
  type Cause,
  type ChainEvent,
  type Intent,
  type ReadableChainEvent,
} from '#domain';

const common = {
  agent: z.string().optional().describe('Left out: whoever last used the intent.'),
  at: z.int().describe('Append time, ms from the start.'),
  action: z.string().optional(),
  target: z.string().optional(),
};

/** What happened, one line per event, with names for ids. */
export const chainScriptSchema = z.strictObject({
  chain: z.string().default('the chain'),
  agents: z.array(z.string()).describe('The place in this list is the partition.'),
  events: z.array(
    z.union([
      z.strictObject({
        intent: z.string(),
        chain: z.string().optional(),
        cause: z.string().optional(),
        trigger: z.string().optional(),
        on_behalf_of: z.string().optional(),
        ...common,
      }),
      z.strictObject({
        re_evaluation: z.string().describe('A held intent, appended as if its approval had ended.'),
        on_behalf_of: z.string().optional().describe('Left out: as it was held.'),
        ...common,
      }),
      z.strictObject({ lost: z.string().describe('An intent that the record does not hold.'), ...common }),
      z.strictObject({
        decision: z.string(),
        outcome: outcomeSchema,
        round: z.int().default(1),
        ttl: z.int().default(30_000).describe('From the intent to `validUntil`, ms.'),
        judged_cause: stampedCauseSchema.optional().describe('As the first layer has judged it.'),
        findings: z.array(z.strictObject({ layer: layerSchema, rule: z.string(), reason: z.string() })).default([]),
        ...common,
      }),
      z.strictObject({
        report: z.string(),
        status: z.enum(['executed', 'failed', 'rolled-back']),
        detail: z.string().optional(),
        ...common,
      }),
    ]),
  ),
});
export type ChainScript = z.infer<typeof chainScriptSchema>;

/** 2026-01-05T09:00:00.000Z, ms since the epoch: when every script starts. */
export const SCRIPT_START = Date.UTC(2026, 0, 5, 9);
const CHARTER = 'c'.repeat(64);

/** The UUIDv7 behind a name in a script. */
export function intentIdNamed(name: string): string {
  return `019b8d5a-0000-7000-8000-${sha256(name).slice(0, 12)}`;
}

interface Spoken {
  readonly agentId: string;
  readonly action: Pick<Action, 'type' | 'target'>;
  readonly chainId: string;
  readonly cause: Cause | undefined;
  readonly trigger: string | undefined;
  readonly onBehalfOf: string | undefined;
  readonly lay: AppendedAt;
  readonly intent?: Intent;
}

/** Plays a script into the events that the record would hold. Decisions and reports are about the last such intent. */
export function eventsOfScript(script: ChainScript): ReadableChainEvent[] {
  const ends = new Map<string, number>();
  const spoken = new Map<string, Spoken>();
  const place = (topic: string, agentId: string, at: number): AppendedAt => {
    const partition = script.agents.indexOf(agentId);
    const end = ends.get(`${topic}/${String(partition)}`) ?? 0;
    ends.set(`${topic}/${String(partition)}`, end + 1);
    return { topic, partition, offset: end, appendTime: SCRIPT_START + at };
  };
  return script.events.flatMap((line): ReadableChainEvent[] => {
    const name = nameIn(line);
    const before = spoken.get(name);
    const agentId = line.agent ?? before?.agentId ?? '';
    const intentId = intentIdNamed(name);
    const action = {
      type: line.action ?? before?.action.type ?? 'read',
      target: line.target ?? before?.action.target ?? 'reporting',
    };
    const actionDigest = actionDigestOf(action, sha256);
    if ('intent' in line || 'lost' in line) {
      const told = 'intent' in line ? line : undefined;
      const lay = place(TOPICS.agentActions.name, agentId, line.at);
      const cause =
        told?.cause === undefined
          ? undefined
          : { agentId: causingAgent(script, told.cause), intentId: intentIdNamed(told.cause) };
      const chainId = told?.chain ?? script.chain;
      spoken.set(name, {
        agentId,
        action,
        chainId,
        cause,
        trigger: told?.trigger,
        onBehalfOf: told?.on_behalf_of,
        lay,
      });
      if (told === undefined) return [];
      const intent: Intent = {
        intentId,
        agentId,
        action,
        chainId,
        ...(cause === undefined ? {} : { cause }),
        ...(told.trigger === undefined ? {} : { trigger: { type: 'user_request', description: told.trigger } }),
        ...(told.on_behalf_of === undefined ? {} : { onBehalfOf: told.on_behalf_of }),
      };
      const said = spoken.get(name);
      if (said !== undefined) spoken.set(name, { ...said, intent });
      return [{ ...lay, kind: 'intent', intent, actionDigest }];
    }
    const chainId = before?.chainId ?? script.chain;
    const decisionId = decisionIdOf(
      { agentId, intentId, actionDigest, round: 'round' in line ? line.round : 1 },
      sha256,
    );
    if ('re_evaluation' in line) {
      if (before?.intent === undefined) throw new Error(`nobody has sent ${name}`);
      const intent =
        line.on_behalf_of === undefined ? before.intent : { ...before.intent, onBehalfOf: line.on_behalf_of };
      const requestId = heldRequestId(decisionIdOf({ agentId, intentId, actionDigest, round: 1 }, sha256));
      const lay = place(TOPICS.agentActions.name, agentId, line.at);
      return [{ ...lay, kind: 're-evaluation', intent, requestId, intentDigest: intentDigestOf(intent, sha256) }];
    }
    if ('report' in line) {
      const { status, detail } = line;
      const report = { intentId, agentId, decisionId, actionDigest, status, chainId, ...(detail ? { detail } : {}) };
      return [{ ...place(TOPICS.agentOutcomes.name, agentId, line.at), kind: 'report', report }];
    }
    const lay = before?.lay ?? place(TOPICS.agentActions.name, agentId, line.at);
    return [
      {
        ...place(TOPICS.agentDecisions.name, agentId, line.at),
        kind: 'decision',
        decision: {
          decisionId,
          intentId,
          agentId,
          round: line.round,
          chainId,
          ...(before?.cause === undefined ? {} : { cause: before.cause }),
          action: { ...action, digest: actionDigest },
          outcome: line.outcome,
          ...(line.outcome === 'hold' && before?.intent !== undefined
            ? { intentDigest: intentDigestOf(before.intent, sha256) }
            : {}),
          wouldBe: line.outcome,
          stage: 'enforce',
          verdicts: layerSchema.options.map((layer) => ({
            layer,
            findings: line.findings
              .filter((finding) => finding.layer === layer)
              .map(({ rule, reason }) => ({
                rule,
                reason,
                effect: 'violation' as const,
                severity: 'critical' as const,
                enforced: true,
              })),
            passed: [],
            facts: {},
          })),
          stamp: {
            judgedAt: new Date(lay.appendTime).toISOString(),
            source: { topic: lay.topic, partition: lay.partition, offset: lay.offset },
            charter: { digest: CHARTER, position: 1 },
            permissions: { position: 0 },
            ...(line.judged_cause === undefined ? {} : { cause: line.judged_cause }),
          },
          validUntil: new Date(lay.appendTime + line.ttl).toISOString(),
          engine: 'remit/script',
        },
      },
    ];
  });
}

function nameIn(line: ChainScript['events'][number]): string {
  if ('intent' in line) return line.intent;
  if ('lost' in line) return line.lost;
  if ('re_evaluation' in line) return line.re_evaluation;
  return 'decision' in line ? line.decision : line.report;
}

function causingAgent(script: ChainScript, name: string): string {
  for (const line of script.events) {
    if ((('intent' in line && line.intent === name) || ('lost' in line && line.lost === name)) && line.agent) {
      return line.agent;
    }
  }
  return 'nobody';
}

/** What erasing these intents leaves of the events. */
export function erasedIn(events: readonly ReadableChainEvent[], intentIds: readonly string[]): ChainEvent[] {
  return events.map((event): ChainEvent => {
    if (event.kind === 'decision' || event.kind === 're-evaluation') return event;
    const { topic, partition, offset, appendTime } = event;
    const of = event.kind === 'intent' ? event.intent : event.report;
    const { agentId, intentId } = of;
    if (!intentIds.includes(intentId)) return event;
    const left = { topic, partition, offset, appendTime, agentId, intentId, chainId: chainIdOf(of) };
    if (event.kind === 'report') return { ...left, kind: 'erased-report', status: event.report.status };
    const { type, target } = event.intent.action;
    return { ...left, kind: 'erased-intent', action: { type, target } };
  });
}

const DECLARATIONS = {
  intent: EVENTS.intent,
  're-evaluation': EVENTS.resubmittedIntent,
  decision: EVENTS.decision,
  report: EVENTS.outcome,
};

function dataOf(event: ReadableChainEvent): { readonly agentId: string; readonly data: unknown } {
  switch (event.kind) {
    case 'intent':
      return { agentId: event.intent.agentId, data: event.intent };
    case 're-evaluation': {
      const { intent, requestId } = event;
      return { agentId: intent.agentId, data: { intent, round: 2, requestId } };
    }
    case 'decision':
      return { agentId: event.decision.agentId, data: event.decision };
    case 'report':
      return { agentId: event.report.agentId, data: event.report };
    default:
      return event satisfies never;
  }
}

/** The message that holds an event. */
export function messageOfChainEvent(event: ReadableChainEvent) {
  const { agentId, data } = dataOf(event);
  const { topic, partition, offset, appendTime } = event;
  const id = `${topic}-${String(partition)}-${String(offset)}`;
  const { value, headers } = writeEvent<unknown>(DECLARATIONS[event.kind], {
    id,
    source: 'remit/script',
    subject: agentId,
    data,
  });
  return {
    topic,
    partition,
    offset,
    appendTime,
    key: Buffer.from(agentId),
    value: Buffer.from(value),
    headers: { 'content-type': Buffer.from(headers['content-type']) },
  };
}
