import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { TOPICS } from '#contracts';
import type { History, HistoryEntry, RecordedMessage } from '#record';
import { chainScriptSchema, eventsOfScript, intentIdNamed, messageOfChainEvent, SCRIPT_START } from './chain-script.js';

const { agentActions, agentDecisions, deadLetters, permissionEvents } = TOPICS;

function message(of: Partial<RecordedMessage>): RecordedMessage {
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

function placesOf(entries: readonly HistoryEntry[]): string[] {
  return entries.map(({ topic, partition, offset }) => `${topic}/${String(partition)}/${String(offset)}`);
}

async function all(pages: AsyncIterable<readonly HistoryEntry[]>): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for await (const page of pages) {
    strictEqual(page.length > 0, true, 'no page is empty');
    entries.push(...page);
  }
  return entries;
}

/** More than two pages; several share a millisecond, and the clock of a partition goes back. */
const many = Array.from({ length: 1300 }, (_, i) =>
  message({
    topic: i % 3 === 0 ? deadLetters.name : agentDecisions.name,
    partition: i % 2,
    offset: Math.floor(i / 2),
    appendTime: SCRIPT_START + Math.floor(i / 10) - (i % 50 === 0 ? 3 : 0),
    value: Buffer.from(String(i)),
  }),
);

/** Promises of every history about reading in bulk; `keptBy` throws when one is not kept. */
export const HISTORY_READING_PROMISES: readonly {
  readonly promise: string;
  readonly keptBy: (history: History) => Promise<void>;
}[] = [
  {
    promise: 'a stream shows every event of its topics once, in the order of append times, as a search does',
    async keptBy(history) {
      await history.append(many);
      const topics = [agentDecisions.name, deadLetters.name];
      const streamed = await all(history.stream({ topics }));
      deepStrictEqual(streamed, await history.search({ limit: many.length }));
      strictEqual(new Set(placesOf(streamed)).size, many.length);
      deepStrictEqual(
        placesOf(await all(history.stream({ topics: [deadLetters.name] }))),
        placesOf(streamed.filter(({ topic }) => topic === deadLetters.name)),
      );
      deepStrictEqual(await all(history.stream({ topics: [agentActions.name] })), []);
    },
  },
  {
    promise: 'a stream goes on behind any event, so that an interrupted reading loses and repeats nothing',
    async keptBy(history) {
      await history.append(many);
      const topics = [agentDecisions.name, deadLetters.name];
      const whole = await all(history.stream({ topics }));
      for (const stop of [0, 499, 500, 901, 1299]) {
        const rest = await all(history.stream({ topics, after: whole[stop] }));
        deepStrictEqual(placesOf(rest), placesOf(whole.slice(stop + 1)));
      }
    },
  },
  {
    promise: 'a stream keeps to its time and its agent',
    async keptBy(history) {
      const script = chainScriptSchema.parse({
        agents: ['reader', 'payer'],
        events: [
          { intent: 'read', agent: 'reader', at: 0 },
          { intent: 'pay', agent: 'payer', at: 5 },
          { intent: 'again', agent: 'reader', at: 10 },
        ],
      });
      await history.append(eventsOfScript(script).map(messageOfChainEvent));
      const topics = [agentActions.name];
      const read = (more: object) => all(history.stream({ topics, ...more })).then(placesOf);
      deepStrictEqual(await read({ agentId: 'reader' }), ['agent.actions/0/0', 'agent.actions/0/1']);
      deepStrictEqual(await read({ from: SCRIPT_START + 5 }), ['agent.actions/1/0', 'agent.actions/0/1']);
      deepStrictEqual(await read({ to: SCRIPT_START + 5 }), ['agent.actions/0/0']);
      deepStrictEqual(await read({ from: SCRIPT_START + 1, to: SCRIPT_START + 10, agentId: 'reader' }), []);
    },
  },
  {
    promise: 'a partition is read by offset, whatever its clock says, from any offset to any other',
    async keptBy(history) {
      await history.append(many);
      const run = { topic: agentDecisions.name, partition: 1 };
      const offsets = (await all(history.partition({ ...run, from: 0 }))).map(({ offset }) => offset);
      deepStrictEqual(
        offsets,
        many.filter(({ topic, partition }) => topic === run.topic && partition === 1).map(({ offset }) => offset),
      );
      const some = (await all(history.partition({ ...run, from: 7, to: 31 }))).map(({ offset }) => offset);
      deepStrictEqual(
        some,
        offsets.filter((offset) => offset >= 7 && offset < 31),
      );
      deepStrictEqual(await all(history.partition({ ...run, from: 100_000 })), []);
    },
  },
  {
    promise: 'what lies at given positions is handed out, and what was never stored is left out',
    async keptBy(history) {
      await history.append(many);
      const [first, , third] = many as [RecordedMessage, RecordedMessage, RecordedMessage];
      const found = await history.at([first, third, first, { topic: permissionEvents.name, partition: 0, offset: 1 }]);
      deepStrictEqual(placesOf(found).sort(), placesOf(await history.at([third, first])).sort());
      deepStrictEqual(found.map(({ value }) => String(value)).sort(), ['0', '2']);
      deepStrictEqual(await history.at([]), []);
    },
  },
  {
    promise: 'everything that says it is about an intent is found by the intent',
    async keptBy(history) {
      const script = chainScriptSchema.parse({
        agents: ['reader', 'payer'],
        events: [
          { intent: 'read', agent: 'reader', at: 0 },
          { intent: 'pay', agent: 'payer', at: 1 },
          { decision: 'read', outcome: 'allow', at: 2 },
          { report: 'read', status: 'executed', at: 3 },
        ],
      });
      await history.append(eventsOfScript(script).map(messageOfChainEvent));
      const about = async (ids: readonly string[]): Promise<string[]> => {
        const found: HistoryEntry[] = [];
        await history.aboutIntents(ids, (page) => {
          strictEqual(page.length > 0, true, 'no page is empty');
          found.push(...page);
        });
        return placesOf(found);
      };
      deepStrictEqual(await about([intentIdNamed('read'), 'no such intent']), [
        'agent.actions/0/0',
        'agent.decisions/0/0',
        'agent.outcomes/0/0',
      ]);
      deepStrictEqual(await about([]), []);
    },
  },
  {
    promise: 'of an id that was used any number of times everything is found, in order, a page at a time',
    async keptBy(history) {
      const [intent, other] = eventsOfScript(
        chainScriptSchema.parse({
          agents: ['reader'],
          events: [
            { intent: 'read', agent: 'reader', at: 0 },
            { intent: 'other', agent: 'reader', at: 5 },
          ],
        }),
      ).map(messageOfChainEvent);
      if (intent === undefined || other === undefined) throw new Error('no intents');
      const times = 1300;
      const sent = Array.from({ length: times }, (_, offset) => ({
        ...(offset === 700 ? other : intent),
        offset,
        appendTime: SCRIPT_START + Math.floor(offset / 3),
      }));
      await history.append(sent);
      const pages: (readonly HistoryEntry[])[] = [];
      await history.aboutIntents([intentIdNamed('read')], (page) => void pages.push(page));
      deepStrictEqual(
        pages.map(({ length }) => length),
        [500, 500, 299],
      );
      deepStrictEqual(
        placesOf(pages.flat()),
        sent.filter(({ offset }) => offset !== 700).map(({ offset }) => `agent.actions/0/${String(offset)}`),
      );
    },
  },
];
