import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { sha256, TOPICS } from '#contracts';
import { checkCharter, replayDecision, reportToJson, type Decision } from '#domain';
import { MemoryHistory, recordedDecisions, replayRecord, type RecordedMessage } from '#record';
import { ENGINE } from '#service';
import { readHistory } from '../../histories/history-file.js';

const HISTORIES = join(import.meta.dirname, '../../histories');

const mutationsSchema = z.array(
  z.strictObject({
    mutation: z.string(),
    topic: z.string(),
    where: z.record(z.string(), z.unknown()),
    set: z.record(z.string(), z.unknown()).optional(),
    edit: z.record(z.string(), z.tuple([z.string(), z.string()])).optional(),
    remove: z.literal(true).optional(),
    expect: z.union([
      z.strictObject({ differs: z.array(z.string()) }),
      z.strictObject({ missing: z.array(z.string()) }),
    ]),
  }),
);
type Mutation = z.infer<typeof mutationsSchema>[number];

const messages = readHistory(join(HISTORIES, 'stories.jsonl'));

async function historyOf(all: readonly RecordedMessage[]): Promise<MemoryHistory> {
  const history = new MemoryHistory();
  await history.append(all);
  return history;
}

type Members = Record<string, unknown>;

function holderOf(data: unknown, path: readonly string[]): Members {
  return path.slice(0, -1).reduce<unknown>((value, name) => (value as Members | undefined)?.[name], data) as Members;
}

function valueAt(data: unknown, dotted: string): unknown {
  const path = dotted.split('.');
  return (holderOf(data, path) as Members | undefined)?.[path.at(-1) ?? ''];
}

function eventOf(message: RecordedMessage): { data: Members } | undefined {
  try {
    return JSON.parse(String(message.value)) as { data: Members };
  } catch {
    return undefined;
  }
}

/** The history with one message changed or gone. */
function mutated({ topic, where, set = {}, edit = {}, remove }: Mutation): RecordedMessage[] {
  const chosen = messages.findIndex((message) => {
    const data = message.topic === topic ? eventOf(message)?.data : undefined;
    return data !== undefined && Object.entries(where).every(([path, wanted]) => valueAt(data, path) === wanted);
  });
  const message = messages[chosen];
  const event = message && eventOf(message);
  if (message === undefined || event === undefined) throw new Error('the history has no such message');
  if (remove === true) return messages.toSpliced(chosen, 1);
  for (const [dotted, value] of Object.entries(set)) {
    const path = dotted.split('.');
    expect(valueAt(event.data, dotted)).not.toEqual(value);
    holderOf(event.data, path)[path.at(-1) ?? ''] = value;
  }
  for (const [name, [from, to]] of Object.entries(edit)) {
    const text = String(event.data[name]);
    expect(text).toContain(from);
    event.data[name] = text.replace(from, to);
  }
  return messages.with(chosen, { ...message, value: Buffer.from(JSON.stringify(event)) });
}

/** Every path that differs and every fact that is missing. */
async function findings(all: readonly RecordedMessage[]): Promise<string[]> {
  const found: string[] = [];
  for await (const page of recordedDecisions(await historyOf(all), {})) {
    for (const one of page) {
      const replay =
        'missing' in one
          ? ({ standing: 'not-replayable', why: one.missing } as const)
          : replayDecision(one.recorded, { engine: ENGINE, sha256 });
      if (replay.standing === 'differs') found.push(...replay.paths);
      else if (replay.standing === 'not-replayable') found.push(replay.why);
      else expect(replay.standing).toBe('identical');
    }
  }
  return found;
}

describe('a kept history', () => {
  it('was recorded by this version of the engine: another version is recorded anew, never made to fit', () => {
    const engines = messages
      .filter(({ topic }) => topic === TOPICS.agentDecisions.name)
      .map((message) => (eventOf(message)?.data as unknown as Decision).engine);
    expect([...new Set(engines)]).toEqual([ENGINE]);
  });

  it('replays identically, every decision of every story, rounds after approvals and counted uses included', async () => {
    const report = await replayRecord(await historyOf(messages), {}, { engine: ENGINE, sha256 });
    const decisions = messages.filter(({ topic }) => topic === TOPICS.agentDecisions.name).length;
    expect(reportToJson(report)).toMatchObject({ decisions, identical: decisions, differing: 0, notReplayable: [] });
    expect(decisions).toBeGreaterThan(40);
  });

  it('is only compared, not expected to be equal, by another version of the engine', async () => {
    const report = await replayRecord(await historyOf(messages), {}, { engine: 'remit/next', sha256 });
    expect(report.identical).toBe(0);
    expect(report.sameOutcome).toBe(report.decisions);
    expect(report.changes.size).toBe(0);
  });

  it('shows what a candidate charter would change, denials that become allowances by themselves', async () => {
    const activations = messages.filter(({ topic }) => topic === TOPICS.charterEvents.name);
    const { text } = eventOf(activations.at(-1) as RecordedMessage)?.data as { text: string };
    const permissive = text.replace('stage: enforce', 'stage: observe');
    const checked = checkCharter(permissive, sha256);
    if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
    const history = await historyOf(messages);
    const report = await replayRecord(history, {}, { engine: ENGINE, candidate: checked.charter, sha256 });
    const [first] = reportToJson(report).changes;
    expect(first?.change).toBe('deny-to-allow');
    const denied = messages.filter(
      (message) => message.topic === TOPICS.agentDecisions.name && eventOf(message)?.data['outcome'] === 'deny',
    );
    expect(first?.count).toBe(denied.length);
    expect(first?.rules.length).toBeGreaterThan(0);
    expect(report.differing).toBe(0);
  });

  it('can be replayed in pieces, each going on where the one before has stopped', async () => {
    const history = await historyOf(messages);
    const whole = await replayRecord(history, {}, { engine: ENGINE, sha256 });
    const times = messages.map(({ appendTime }) => appendTime).sort((one, other) => one - other);
    const middle = times[Math.floor(times.length / 2)];
    const first = await replayRecord(history, { to: middle }, { engine: ENGINE, sha256 });
    const both = await replayRecord(history, { from: middle }, { engine: ENGINE, sha256 }, first);
    expect(reportToJson(both)).toEqual(reportToJson(whole));
  });
});

describe('a history that the engine before this one recorded', () => {
  const earlier = readHistory(join(HISTORIES, 'engine-1.jsonl'));
  const decisions = earlier.flatMap((message) =>
    message.topic === TOPICS.agentDecisions.name ? [eventOf(message)?.data as unknown as Decision] : [],
  );

  it('is still read, and compared by outcome: the words of its reasons are not held against it', async () => {
    expect(new Set(decisions.map(({ engine }) => engine))).toEqual(new Set(['remit/1']));
    expect(JSON.stringify(decisions)).toContain('is suspended by sam: two requests for one account');
    const report = await replayRecord(await historyOf(earlier), {}, { engine: ENGINE, sha256 });
    const { length } = decisions;
    expect(reportToJson(report)).toMatchObject({ decisions: length, sameOutcome: length, identical: 0, changes: [] });
  });

  it('shows an outcome that this engine would not have reached as a change, not as a forgery', async () => {
    const chosen = earlier.findIndex((message) => eventOf(message)?.data['outcome'] === 'deny');
    const event = eventOf(earlier[chosen] as RecordedMessage);
    const forged = { ...event, data: { ...event?.data, outcome: 'allow' } };
    const twin = earlier.with(chosen, {
      ...(earlier[chosen] as RecordedMessage),
      value: Buffer.from(JSON.stringify(forged)),
    });
    const report = await replayRecord(await historyOf(twin), {}, { engine: ENGINE, sha256 });
    expect([report.differing, report.changes.get('allow-to-deny')?.count]).toEqual([0, 1]);
  });
});

describe('a twin of the history in which', () => {
  const mutations = mutationsSchema.parse(parse(readFileSync(join(HISTORIES, 'mutations.yaml'), 'utf8')));

  it.each(mutations.map((one) => [one.mutation, one] as const))('%s is found', async (_, mutation) => {
    const found = await findings(mutated(mutation));
    const wanted = 'differs' in mutation.expect ? mutation.expect.differs : mutation.expect.missing;
    expect(found).toEqual(expect.arrayContaining(wanted));
    const report = await replayRecord(await historyOf(mutated(mutation)), {}, { engine: ENGINE, sha256 });
    expect(report.identical).toBeLessThan(report.decisions);
  });
});
