import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { EVENTS, sha256, TOPICS } from '#contracts';
import type { History, HistoryEntry, HistorySearch, RecordedMessage } from '#record';
import { chainScriptSchema, eventsOfScript, intentIdNamed, messageOfChainEvent, SCRIPT_START } from './chain-script.js';

/** A promise of every history, and what a history (empty when handed in) must do to keep it; throws when it does not. */
export interface HistoryPromise {
  readonly promise: string;
  readonly keptBy: (history: History) => Promise<void>;
}

const { agentActions, agentDecisions, auditAccess, deadLetters, permissionEvents } = TOPICS;
/** Text that no compression makes short: an index would refuse it whole. */
const LONG_TEXT = Array.from({ length: 1000 }, (_, i) => sha256(String(i))).join('');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

function message(of: Partial<RecordedMessage> = {}): RecordedMessage {
  return {
    topic: agentActions.name,
    partition: 0,
    offset: 0,
    appendTime: SCRIPT_START,
    key: null,
    value: null,
    headers: {},
    ...of,
  };
}

const structured = { 'content-type': Buffer.from('application/cloudevents+json') };

/** A message that says it is a CloudEvent of the type, whatever the data are. */
function saying(type: string, data: unknown, of: Partial<RecordedMessage> = {}): RecordedMessage {
  const event = { specversion: '1.0', id: 'event-1', source: 'agent', type, data };
  return message({ value: Buffer.from(JSON.stringify(event)), headers: structured, ...of });
}

function places(entries: readonly HistoryEntry[]): string[] {
  return entries.map(({ topic, partition, offset }) => `${topic}/${String(partition)}/${String(offset)}`);
}

/** The message as a history returned it, without its search terms. */
function messageIn(entry: HistoryEntry | undefined): RecordedMessage | undefined {
  if (entry === undefined) return undefined;
  const { topic, partition, offset, appendTime, key, value, headers } = entry;
  return { topic, partition, offset, appendTime, key, value, headers };
}

const allBytes = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));

/** Two agents: one reads and is allowed, the other transfers and is denied. */
const twoAgents = chainScriptSchema.parse({
  chain: 'payroll',
  agents: ['reader', 'payer'],
  events: [
    { intent: 'read', agent: 'reader', at: 0, action: 'read', target: 'reporting' },
    { decision: 'read', outcome: 'allow', at: 10 },
    { report: 'read', status: 'executed', at: 20 },
    { intent: 'pay', agent: 'payer', at: 30, action: 'transfer', target: 'ledger', cause: 'read' },
    { decision: 'pay', outcome: 'deny', at: 40 },
  ],
});

async function found(history: History, search: Omit<HistorySearch, 'limit'>): Promise<string[]> {
  return places(await history.search({ limit: 100, ...search }));
}

/** What every implementation of {@link History} must do. */
export const HISTORY_PROMISES: readonly HistoryPromise[] = [
  {
    promise: 'every message is kept byte for byte, with its headers in order and its append time to the millisecond',
    async keptBy(history) {
      const messages = [
        message({ key: allBytes, value: allBytes, appendTime: 1_764_000_000_001 }),
        message({ offset: 1, key: Buffer.alloc(0), value: Buffer.alloc(0), appendTime: 1_764_000_000_002 }),
        message({
          offset: 2 ** 40,
          appendTime: 1_764_000_000_999,
          headers: Object.fromEntries<Buffer | Buffer[]>([
            ['zebra', allBytes],
            ['again', [Buffer.from('1'), Buffer.alloc(0), Buffer.from('2')]],
            ['', Buffer.from('no name')],
            ['__proto__', Buffer.from('not a prototype')],
            ['nul\0 "quote" \\ ünïcode 🦊', Buffer.from('x')],
            ['apple', Buffer.alloc(0)],
          ]),
        }),
      ];
      strictEqual(await history.append(messages), 3);
      const stored = await history.search({ limit: 10 });
      deepStrictEqual(stored.map(messageIn), messages);
      deepStrictEqual(Object.keys(stored[2]?.headers ?? {}), Object.keys(messages[2]?.headers ?? {}));
    },
  },
  {
    promise: 'a message delivered again changes nothing',
    async keptBy(history) {
      const first = message({ value: Buffer.from('as it was') });
      const second = message({ offset: 1 });
      strictEqual(await history.append([first, first]), 1);
      strictEqual(await history.append([{ ...first, value: Buffer.from('rewritten') }, second]), 1);
      deepStrictEqual((await history.search({ limit: 10 })).map(messageIn), [first, second]);
    },
  },
  {
    promise: 'storing goes on behind what is stored: what was left out on the way stays out',
    async keptBy(history) {
      strictEqual(await history.append([message(), message({ offset: 2 })]), 2);
      strictEqual(await history.append([message({ offset: 1 }), message({ offset: 3 })]), 1);
      deepStrictEqual(
        await found(history, {}),
        [0, 2, 3].map((offset) => `agent.actions/0/${String(offset)}`),
      );
      deepStrictEqual(Object.fromEntries(await history.positions()), { [agentActions.name]: [4] });
    },
  },
  {
    promise: 'decisions are found by a rule that has found something, and not by one that was satisfied',
    async keptBy(history) {
      const decision = (rule: string, passed: string, offset: number): RecordedMessage =>
        saying(
          EVENTS.decision.type,
          { agentId: 'payer', verdicts: [{ findings: [{ rule, reason: '"rule":"quoted"' }], passed: [passed] }] },
          { topic: agentDecisions.name, offset },
        );
      await history.append([decision('payment-limit', 'time-window', 0), decision('time-window', 'payment-limit', 1)]);
      deepStrictEqual(await found(history, { rule: 'payment-limit' }), ['agent.decisions/0/0']);
      deepStrictEqual(await found(history, { rule: 'quoted' }), []);
      deepStrictEqual(await found(history, { rule: 'payment-limit', agentId: 'reader' }), []);
    },
  },
  {
    promise: 'nothing to store is stored as nothing',
    async keptBy(history) {
      strictEqual(await history.append([]), 0);
      deepStrictEqual(await history.search({ limit: 10 }), []);
      deepStrictEqual([...(await history.positions())], []);
      deepStrictEqual([...(await history.count())], []);
      deepStrictEqual(await history.chain('payroll'), { events: [], leftOut: 0 });
      await history.ping();
    },
  },
  {
    promise: 'replicas that store the same messages at once store each once',
    async keptBy(history) {
      const messages = Array.from({ length: 1200 }, (_, i) => message({ partition: i % 3, offset: Math.floor(i / 3) }));
      const stored = await Promise.all([
        history.append(messages),
        history.append([...messages].reverse()),
        history.append(messages.slice(0, 900)),
      ]);
      strictEqual(
        stored.reduce((sum, count) => sum + count, 0),
        1200,
      );
      strictEqual((await history.count()).get(agentActions.name), 1200);
    },
  },
  {
    promise: 'a message nobody can read is stored all the same and found by its time and trace',
    async keptBy(history) {
      const headers = { traceparent: Buffer.from(`00-${TRACE}-00f067aa0ba902b7-01`) };
      const unreadable = [
        message({ value: Buffer.from('{"specversion"'), headers }),
        message({ offset: 1, value: allBytes, headers: structured }),
        message({ offset: 2, value: null, headers }),
        message({ offset: 3, value: Buffer.from('null'), headers: structured }),
        saying('io.remit.decision.v1', { agentId: 'reader' }, { offset: 4 }),
        message({ topic: 'some.other-topic', value: Buffer.from('{}') }),
      ];
      strictEqual(await history.append(unreadable), 6);
      const stored = await history.search({ from: SCRIPT_START, to: SCRIPT_START + 1, limit: 10 });
      deepStrictEqual(stored.map(messageIn), unreadable);
      for (const { eventType, agentId, chainId, outcome } of stored) {
        deepStrictEqual([eventType, agentId, chainId, outcome], [null, null, null, null]);
      }
      deepStrictEqual(await found(history, { traceId: TRACE }), ['agent.actions/0/0', 'agent.actions/0/2']);
    },
  },
  {
    promise: 'an intent that the layers refuse can still be found by what it says',
    async keptBy(history) {
      const action = { type: 'drop', target: 'orders', unknown: true };
      await history.append([saying(EVENTS.intent.type, { agentId: 'rogue', action, extra: 1 })]);
      for (const search of [{ agentId: 'rogue' }, { actionType: 'drop' }, { target: 'orders' }]) {
        deepStrictEqual(await found(history, search), ['agent.actions/0/0']);
      }
    },
  },
  {
    promise: 'no text that an agent can send stops the history, and each is found by the same text',
    async keptBy(history) {
      const texts = [
        'nul\0 inside',
        '\ud800 half a pair',
        'half a pair \udfff',
        '🦊'.repeat(200),
        LONG_TEXT,
        '',
        "'; --",
      ];
      const messages = texts.flatMap((text, offset) => [
        saying(
          EVENTS.intent.type,
          { agentId: text, chainId: text, intentId: text, action: { type: text, target: text } },
          { offset },
        ),
        saying(
          EVENTS.decision.type,
          { agentId: [text], action: text, outcome: text },
          { topic: agentDecisions.name, offset },
        ),
      ]);
      strictEqual(await history.append(messages), messages.length);
      for (const [offset, text] of texts.entries()) {
        const places = [`agent.actions/0/${String(offset)}`];
        for (const term of ['agentId', 'chainId', 'actionType', 'target'] as const) {
          deepStrictEqual(await found(history, { [term]: text }), places, `${term} ${text.slice(0, 20)}`);
        }
        deepStrictEqual((await history.chain(text)).events, []);
      }
    },
  },
  {
    promise: 'events are found by agent, action type, target, outcome, chain and time, and by all of them together',
    async keptBy(history) {
      await history.append(eventsOfScript(twoAgents).map(messageOfChainEvent));
      const reader = ['agent.actions/0/0', 'agent.decisions/0/0', 'agent.outcomes/0/0'];
      const payer = ['agent.actions/1/0', 'agent.decisions/1/0'];
      deepStrictEqual(await found(history, {}), [...reader, ...payer]);
      deepStrictEqual(await found(history, { agentId: 'reader' }), reader);
      deepStrictEqual(await found(history, { actionType: 'transfer' }), payer);
      deepStrictEqual(await found(history, { target: 'reporting' }), reader.slice(0, 2));
      deepStrictEqual(await found(history, { outcome: 'deny' }), ['agent.decisions/1/0']);
      deepStrictEqual(await found(history, { outcome: 'executed' }), ['agent.outcomes/0/0']);
      deepStrictEqual(await found(history, { chainId: 'payroll' }), [...reader, ...payer]);
      deepStrictEqual(await found(history, { chainId: 'another' }), []);
      const times = { from: SCRIPT_START + 10, to: SCRIPT_START + 40 };
      deepStrictEqual(await found(history, times), [...reader.slice(1), 'agent.actions/1/0']);
      deepStrictEqual(await found(history, { ...times, agentId: 'payer', target: 'ledger' }), ['agent.actions/1/0']);
    },
  },
  {
    promise: 'what is on its way through the layers, and what people ordered, is found by its agent too',
    async keptBy(history) {
      const intent = {
        intentId: intentIdNamed('read'),
        agentId: 'reader',
        action: { type: 'read', target: 'reporting' },
      };
      await history.append([
        saying(EVENTS.judgedIntent.type, { intent }, { topic: TOPICS.boundaryChecked.name }),
        saying(
          EVENTS.permissionEvent.type,
          { event: 'AgentSuspended', agentId: 'reader' },
          { topic: permissionEvents.name },
        ),
      ]);
      deepStrictEqual(await found(history, { agentId: 'reader' }), [
        'governance.boundary-checked/0/0',
        'permission.events/0/0',
      ]);
      deepStrictEqual(await found(history, { chainId: intent.intentId }), ['governance.boundary-checked/0/0']);
    },
  },
  {
    promise: 'events in binary mode are found like those in structured mode',
    async keptBy(history) {
      const headers = Object.fromEntries(
        Object.entries({ ce_specversion: '1.0', ce_id: 'e', ce_source: 's', ce_type: EVENTS.intent.type }).map(
          ([name, value]) => [name, Buffer.from(value)],
        ),
      );
      await history.append([message({ headers, value: Buffer.from('{"agentId":"reader"}') })]);
      const [entry] = await history.search({ agentId: 'reader', limit: 1 });
      deepStrictEqual([entry?.eventId, entry?.eventType], ['e', EVENTS.intent.type]);
    },
  },
  {
    promise: 'paging through a search shows every event once, in the order of append times',
    async keptBy(history) {
      const messages = Array.from({ length: 60 }, (_, i) =>
        message({
          topic: [agentActions.name, auditAccess.name, deadLetters.name][i % 3] ?? '',
          partition: Math.floor(i / 3) % 4,
          offset: i,
          // Several events share a millisecond.
          appendTime: SCRIPT_START + Math.floor((i * 7) / 10) * (i % 2),
        }),
      );
      await history.append(messages);
      const pages: HistoryEntry[][] = [];
      for (;;) {
        const page = await history.search({ limit: 7, after: pages.at(-1)?.at(-1) });
        if (page.length === 0) break;
        pages.push([...page]);
      }
      deepStrictEqual(
        pages.map((page) => page.length),
        [7, 7, 7, 7, 7, 7, 7, 7, 4],
      );
      deepStrictEqual(pages.flat(), await history.search({ limit: 100 }));
      const times = pages.flat().map(({ appendTime }) => appendTime);
      deepStrictEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
      strictEqual(new Set(places(pages.flat())).size, 60);
    },
  },
  {
    promise: 'the history says how far it has stored each partition and how much of each topic',
    async keptBy(history) {
      await history.append([
        message({ partition: 3, offset: 4 }),
        message({ partition: 3, offset: 12 }),
        message({ partition: 3, offset: 7 }),
        message({ partition: 1, offset: 0 }),
        message({ topic: deadLetters.name, offset: 8 }),
      ]);
      deepStrictEqual(Object.fromEntries(await history.positions()), {
        [agentActions.name]: [0, 1, 0, 13],
        [deadLetters.name]: [9],
      });
      deepStrictEqual(Object.fromEntries(await history.count()), { [agentActions.name]: 4, [deadLetters.name]: 1 });
    },
  },
  {
    promise: 'a chain comes with everything about its intents and with the causes they name, and nothing else',
    async keptBy(history) {
      const script = chainScriptSchema.parse({
        chain: 'payroll',
        agents: ['reader', 'payer', 'stranger'],
        events: [
          { intent: 'elsewhere', agent: 'stranger', at: 0, chain: 'another' },
          { decision: 'elsewhere', outcome: 'allow', at: 1 },
          { intent: 'unrelated', agent: 'stranger', at: 2, chain: 'another' },
          { intent: 'read', agent: 'reader', at: 3, cause: 'elsewhere' },
          { decision: 'read', outcome: 'allow', at: 4 },
          { report: 'read', status: 'executed', at: 5 },
          { intent: 'pay', agent: 'payer', at: 6, cause: 'read' },
        ],
      });
      const events = eventsOfScript(script).map((event) =>
        // An agent that hides its report in another chain hides nothing.
        event.kind === 'report' ? { ...event, report: { ...event.report, chainId: 'another' } } : event,
      );
      await history.append(events.map(messageOfChainEvent));
      deepStrictEqual(
        (await history.chain('payroll')).events,
        events.filter((event) => event.kind !== 'intent' || event.intent.intentId !== intentIdNamed('unrelated')),
      );
      deepStrictEqual((await history.chain('no such chain')).events, []);
    },
  },
  {
    promise: 'of a chain too long to be shown whole, the first 10,000 events come, and how many more there are is said',
    async keptBy(history) {
      const length = 10_000;
      const messages = eventsOfScript(
        chainScriptSchema.parse({
          chain: 'endless',
          agents: ['reader'],
          events: Array.from({ length: length + 7 }, (_, at) => ({
            decision: `action ${String(at)}`,
            agent: 'reader',
            outcome: 'deny',
            at,
          })),
        }),
      ).map(messageOfChainEvent);
      const [first] = messages;
      if (first === undefined) throw new Error('no message');
      // What says the same again takes no room.
      const repeats = Array.from({ length: 600 }, (_, offset) => ({ ...first, offset }));
      const others = messages.slice(1).map((one) => ({ ...one, offset: one.offset + repeats.length }));
      await history.append([...repeats, ...others]);
      const { events, leftOut } = await history.chain('endless');
      deepStrictEqual([events.length, leftOut], [length, 7]);
      deepStrictEqual([events[0]?.offset, events[1]?.offset, events.at(-1)?.offset], [0, 601, 600 + length - 1]);
    },
  },
  {
    promise: 'an intent or a report in another agent’s name is no part of a chain',
    async keptBy(history) {
      const events = eventsOfScript(twoAgents);
      await history.append(
        events.map((event) => ({
          ...messageOfChainEvent(event),
          ...(event.kind === 'decision' ? {} : { key: Buffer.from('forger') }),
        })),
      );
      deepStrictEqual(
        (await history.chain('payroll')).events,
        events.filter(({ kind }) => kind === 'decision'),
      );
    },
  },
];
