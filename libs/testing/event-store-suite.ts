import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { z } from 'zod';
import {
  Aggregates,
  publishLeftovers,
  publishStream,
  type Append,
  type Decider,
  type EventStore,
  type PublishEvents,
  type SnapshotFormat,
  type StoredEvent,
} from '#event-store';
import { storeWith } from './replaced-methods.js';

/** The events the suite stores. */
export const noteSchema = z.strictObject({ note: z.string() });
export type Note = z.infer<typeof noteSchema>;

/** Opens one more store on the same, at first empty, storage: what another replica, or a restart, would see. */
export type OpenReplica = () => Promise<EventStore<Note>>;

/** A promise of every event store, and what replicas of one must do to keep it; throws when they do not. */
export interface EventStorePromise {
  readonly promise: string;
  readonly keptBy: (open: OpenReplica) => Promise<void>;
}

const digestA = 'a'.repeat(64);
const digestB = 'b'.repeat(64);

function append(expectedVersion: number, commandId: string, ...notes: string[]): Append<Note> {
  return { expectedVersion, commandId, commandDigest: digestA, events: notes.map((note) => ({ note })) };
}

function told(events: readonly StoredEvent<Note>[]): string[] {
  return events.map(({ stream, version, event }) => `${stream}/${String(version)} ${event.note}`);
}

/** Adds one note per command, however many there are. */
const notebook: Decider<string, number, Note> = {
  decide: (note, count) => (note === '' ? [] : [{ note: `${note}, after ${String(count)}` }]),
  evolve: (count) => count + 1,
  initialState: () => 0,
};

const counts: SnapshotFormat<number> = {
  name: 'count/1',
  write: (count) => ({ count }),
  read: (json) => z.object({ count: z.int() }).safeParse(json).data?.count,
};

/** As a process that has just started handles commands: it remembers nothing. */
function notes(store: EventStore<Note>, snapshots?: SnapshotFormat<number>): Aggregates<string, number, Note> {
  return new Aggregates(store, notebook, { snapshots, snapshotEvery: 10 });
}

/** The same store, and how many events have been read of it. */
function counting(store: EventStore<Note>): { readonly store: EventStore<Note>; eventsRead: number } {
  const counted = {
    eventsRead: 0,
    store: storeWith(store, {
      readStream: async (stream, after) => {
        const reading = await store.readStream(stream, after);
        counted.eventsRead += reading.events.length;
        return reading;
      },
    }),
  };
  return counted;
}

function order(commandId: string, note = commandId, commandDigest = digestA) {
  return { stream: 'clerk', commandId, commandDigest, command: note };
}

/** Somewhere events are published, and what came there in which order. */
function publication(): { readonly seen: string[]; readonly publish: PublishEvents<Note> } {
  const seen: string[] = [];
  return {
    seen,
    publish: async (events) => {
      for (const event of events) {
        await Promise.resolve();
        seen.push(...told([event]));
      }
    },
  };
}

const brokenBus: PublishEvents<Note> = () => Promise.reject(new Error('the bus is down'));

export const EVENT_STORE_PROMISES: readonly EventStorePromise[] = [
  {
    promise: 'a stream nobody has written to is empty',
    keptBy: async (open) => {
      const store = await open();
      await store.ping();
      deepStrictEqual(await store.readStream('nobody'), { events: [], version: 0 });
      deepStrictEqual(await store.streams({ limit: 10 }), []);
    },
  },
  {
    promise: 'what was appended is read back in order by every replica, numbered from 1 without gaps',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      await store.append('clerk', append(0, 'first', 'one', 'two'));
      await other.append('clerk', append(2, 'second', 'three'));
      const { events, version } = await store.readStream('clerk');
      deepStrictEqual(told(events), ['clerk/1 one', 'clerk/2 two', 'clerk/3 three']);
      deepStrictEqual(
        events.map(({ commandId }) => commandId),
        ['first', 'first', 'second'],
      );
      strictEqual(version, 3);
      deepStrictEqual(told((await other.readStream('clerk', 2)).events), ['clerk/3 three']);
    },
  },
  {
    promise: 'an event is read back exactly as written, with characters that databases dislike',
    keptBy: async (open) => {
      const store = await open();
      const note = 'NUL \u0000, half a pair \ud83d, quotes \' " \\, a zero-width joiner \u200d and 😀';
      await store.append('clerk', append(0, 'odd', note));
      strictEqual((await store.readStream('clerk')).events[0]?.event.note, note);
    },
  },
  {
    promise: 'a command that comes again appends nothing and is told what it once made',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      await store.append('clerk', append(0, 'first', 'one', 'two'));
      await store.append('clerk', append(2, 'second', 'three'));
      const again = await other.append('clerk', append(3, 'first', 'something else now'));
      strictEqual(again.status, 'duplicate');
      deepStrictEqual(told('events' in again ? again.events : []), ['clerk/1 one', 'clerk/2 two']);
      strictEqual((await store.readStream('clerk')).version, 3);
    },
  },
  {
    promise: 'a command that comes again is known even when it expects a version long past',
    keptBy: async (open) => {
      const store = await open();
      await store.append('clerk', append(0, 'first', 'one'));
      strictEqual((await store.append('clerk', append(0, 'first', 'one'))).status, 'duplicate');
    },
  },
  {
    promise: 'a command id that is used again for something else is refused, and nothing changes',
    keptBy: async (open) => {
      const store = await open();
      await store.append('clerk', append(0, 'first', 'one'));
      const refused = await store.append('clerk', { ...append(1, 'first', 'two'), commandDigest: digestB });
      strictEqual(refused.status, 'refused');
      strictEqual('code' in refused && refused.code, 'REMIT_EVENT_STORE_COMMAND_ID_REUSED');
      strictEqual((await store.readStream('clerk')).version, 1);
    },
  },
  {
    promise:
      'what came of a command can be asked for without leaving a trace, also of a stream that nobody has written to',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      const first = append(0, 'first', 'one', 'two');
      strictEqual(await store.resultOf('clerk', first), undefined);
      deepStrictEqual(await store.streams({ limit: 10 }), []);
      await store.append('clerk', first);
      const result = await other.resultOf('clerk', first);
      strictEqual(result?.status, 'duplicate');
      deepStrictEqual(told('events' in result ? result.events : []), ['clerk/1 one', 'clerk/2 two']);
      strictEqual((await other.resultOf('clerk', { ...first, commandDigest: digestB }))?.status, 'refused');
      strictEqual(await other.resultOf('clerk', append(2, 'second')), undefined);
    },
  },
  {
    promise: 'two streams may use the same command id',
    keptBy: async (open) => {
      const store = await open();
      strictEqual((await store.append('clerk', append(0, 'first', 'one'))).status, 'appended');
      strictEqual((await store.append('teller', append(0, 'first', 'one'))).status, 'appended');
      deepStrictEqual(await store.streams({ limit: 10 }), ['clerk', 'teller']);
      deepStrictEqual(await store.streams({ after: 'clerk', limit: 10 }), ['teller']);
      deepStrictEqual(await store.streams({ limit: 1 }), ['clerk']);
    },
  },
  {
    promise: 'whoever decided on an older version is told, and appends nothing',
    keptBy: async (open) => {
      const store = await open();
      await store.append('clerk', append(0, 'first', 'one'));
      deepStrictEqual(await store.append('clerk', append(0, 'second', 'two')), { status: 'conflict', version: 1 });
      deepStrictEqual(await store.append('clerk', append(2, 'third', 'two')), { status: 'conflict', version: 1 });
      strictEqual((await store.readStream('clerk')).version, 1);
      strictEqual((await store.append('clerk', append(1, 'second', 'two'))).status, 'appended');
    },
  },
  {
    promise: 'a command of which nothing came is not remembered',
    keptBy: async (open) => {
      const store = await open();
      deepStrictEqual(await store.append('clerk', append(0, 'early')), { status: 'appended', events: [] });
      strictEqual((await notes(store).handle(order('early'))).status, 'appended');
      deepStrictEqual(told((await store.readStream('clerk')).events), ['clerk/1 early, after 0']);
    },
  },
  {
    promise: 'an event that does not fit its schema is never stored',
    keptBy: async (open) => {
      const store = await open();
      const odd = { note: 1 } as unknown as Note;
      await rejects(
        store.append('clerk', { ...append(0, 'first'), events: [{ note: 'fine' }, odd] }),
        (error: unknown) => (error as { code: string }).code === 'REMIT_EVENT_STORE_INVALID_EVENT',
      );
      strictEqual((await store.readStream('clerk')).version, 0);
    },
  },
  {
    promise: 'of twenty appends that saw the same version exactly one succeeds',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, i) => {
          const replica = i % 2 === 0 ? store : other;
          return replica.append('clerk', append(0, `command-${String(i)}`, 'one'));
        }),
      );
      const statuses = results.map(({ status }) => status).sort();
      deepStrictEqual(statuses, ['appended', ...Array.from({ length: 19 }, () => 'conflict')]);
      strictEqual((await store.readStream('clerk')).version, 1);
    },
  },
  {
    promise: 'twenty commands to one stream at once all count, each deciding on what the others did',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => notes(i % 2 === 0 ? store : other).handle(order(`command-${String(i)}`))),
      );
      const reading = await store.readStream('clerk');
      deepStrictEqual(
        reading.events.map(({ event }) => event.note.replace(/^.*, /, '')),
        Array.from({ length: 20 }, (_, i) => `after ${String(i)}`),
      );
    },
  },
  {
    promise: 'one command delivered to two replicas at once counts once',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      const handled = await Promise.all([notes(store).handle(order('first')), notes(other).handle(order('first'))]);
      deepStrictEqual(handled.map(({ status }) => status).sort(), ['appended', 'duplicate']);
      strictEqual((await store.readStream('clerk')).version, 1);
    },
  },
  {
    promise:
      'a command on a long stream reads what came after the newest snapshot, and in a process that knows it nothing',
    keptBy: async (open) => {
      const { store } = { store: await open() };
      const writer = notes(store, counts);
      for (let n = 0; n < 95; n += 1) await writer.handle(order(`command-${String(n)}`));
      const restarted = counting(await open());
      const reader = notes(restarted.store, counts);
      await reader.handle(order('after a restart'));
      ok(restarted.eventsRead < 10, `${String(restarted.eventsRead)} events were read`);
      const before = restarted.eventsRead;
      await reader.handle(order('once more'));
      strictEqual(restarted.eventsRead, before);
      deepStrictEqual(told((await store.readStream('clerk', 95)).events), [
        'clerk/96 after a restart, after 95',
        'clerk/97 once more, after 96',
      ]);
    },
  },
  {
    promise: 'a snapshot that cannot be read, or that another version has written, is as if it were not there',
    keptBy: async (open) => {
      const store = await open();
      for (let n = 0; n < 20; n += 1) await notes(store).handle(order(`command-${String(n)}`));
      await store.saveSnapshot('clerk', 'count/1', { version: 20, state: 'a rumour' });
      await store.saveSnapshot('clerk', 'count/2', { version: 20, state: { count: 7 } });
      strictEqual((await notes(store, counts).current('clerk')).state, 20);
    },
  },
  {
    promise: 'of several snapshots the newest stays, whoever saves last',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      await store.append('clerk', append(0, 'first', 'one', 'two'));
      await store.saveSnapshot('clerk', 'count/1', { version: 2, state: { count: 2 } });
      await other.saveSnapshot('clerk', 'count/1', { version: 1, state: { count: 1 } });
      deepStrictEqual(await store.readSnapshot('clerk', 'count/1'), { version: 2, state: { count: 2 } });
      strictEqual(await store.readSnapshot('clerk', 'count/9'), undefined);
      strictEqual(await store.readSnapshot('teller', 'count/1'), undefined);
    },
  },
  {
    promise: 'a command of which nothing comes leaves nothing behind, not even the name of its stream',
    keptBy: async (open) => {
      const store = await open();
      deepStrictEqual(await notes(store).handle(order('nothing', '')), { status: 'appended', events: [] });
      deepStrictEqual(await store.streams({ limit: 10 }), []);
      deepStrictEqual(await store.unpublishedStreams({ limit: 10 }), []);
    },
  },
  {
    promise: 'whatever came of a command is public when it has been handled',
    keptBy: async (open) => {
      const store = await open();
      const { seen, publish } = publication();
      await notes(store).handleAndPublish(order('first'), publish);
      await notes(store).handleAndPublish(order('second'), publish);
      deepStrictEqual(seen, ['clerk/1 first, after 0', 'clerk/2 second, after 1']);
      deepStrictEqual(await store.unpublished(10), []);
    },
  },
  {
    promise: 'a crash between append and publish loses nothing: a sweep publishes what was left, in order, once',
    keptBy: async (open) => {
      const dying = await open();
      await dying.append('clerk', append(0, 'first', 'one', 'two'));
      await dying.append('teller', append(0, 'first', 'uno'));
      await dying.append('clerk', append(2, 'second', 'three'));
      const restarted = await open();
      strictEqual((await restarted.unpublished(10)).length, 4);
      strictEqual((await restarted.unpublished(3)).length, 3);
      const { seen, publish } = publication();
      deepStrictEqual(await publishLeftovers(restarted, publish), { published: 4, busy: [], failed: [] });
      deepStrictEqual(seen, ['clerk/1 one', 'clerk/2 two', 'clerk/3 three', 'teller/1 uno']);
      deepStrictEqual(await publishLeftovers(restarted, publish), { published: 0, busy: [], failed: [] });
    },
  },
  {
    promise: 'while the bus is down nobody hears that a command counts, and afterwards its redelivery publishes it',
    keptBy: async (open) => {
      const store = await open();
      await rejects(notes(store).handleAndPublish(order('first'), brokenBus), /the bus is down/);
      deepStrictEqual(told(await store.unpublished(10)), ['clerk/1 first, after 0']);
      const { seen, publish } = publication();
      strictEqual((await notes(store).handleAndPublish(order('first'), publish)).status, 'duplicate');
      deepStrictEqual(seen, ['clerk/1 first, after 0']);
    },
  },
  {
    promise: 'a refused command id publishes nothing',
    keptBy: async (open) => {
      const store = await open();
      const { seen, publish } = publication();
      await notes(store).handle(order('first'));
      const refused = await notes(store).handleAndPublish(order('first', 'another', digestB), publish);
      strictEqual(refused.status, 'refused');
      deepStrictEqual(seen, []);
    },
  },
  {
    promise: 'a stream that cannot be published holds up no other and keeps its order',
    keptBy: async (open) => {
      const store = await open();
      await store.append('clerk', append(0, 'first', 'one', 'two'));
      await store.append('teller', append(0, 'first', 'uno'));
      const { seen, publish } = publication();
      const picky: PublishEvents<Note> = (events) =>
        events[0]?.stream === 'clerk' ? brokenBus(events) : publish(events);
      const sweep = await publishLeftovers(store, picky);
      strictEqual(sweep.published, 1);
      deepStrictEqual(
        sweep.failed.map(({ stream }) => stream),
        ['clerk'],
      );
      deepStrictEqual(seen, ['teller/1 uno']);
      await publishLeftovers(store, publish);
      deepStrictEqual(seen, ['teller/1 uno', 'clerk/1 one', 'clerk/2 two']);
    },
  },
  {
    promise: 'a sweep leaves a stream to the replica that is publishing it, and appends to it go on',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      await store.append('clerk', append(0, 'first', 'one'));
      const { seen, publish } = publication();
      let swept: unknown;
      await publishStream(store, 'clerk', async (events) => {
        swept ??= await publishLeftovers(other, publish);
        if (events[0]?.version === 1)
          strictEqual((await other.append('clerk', append(1, 'second', 'two'))).status, 'appended');
        await publish(events);
      });
      deepStrictEqual(swept, { published: 0, busy: ['clerk'], failed: [] });
      deepStrictEqual(seen, ['clerk/1 one']);
      deepStrictEqual(told(await other.unpublished(10)), ['clerk/2 two']);
    },
  },
  {
    promise: 'who waits for a stream that another replica is publishing returns when its own events are public',
    keptBy: async (open) => {
      const [store, other] = [await open(), await open()];
      await store.append('clerk', append(0, 'first', 'one'));
      const { seen, publish } = publication();
      let waiting: Promise<number> | undefined;
      await publishStream(store, 'clerk', async (events) => {
        await other.append('clerk', append(1, 'second', 'two'));
        waiting = publishStream(other, 'clerk', publish);
        await publish(events);
      });
      strictEqual(await waiting, 1);
      deepStrictEqual(seen, ['clerk/1 one', 'clerk/2 two']);
    },
  },
  {
    promise: 'replicas that sweep while others append and publish never reorder a stream and leave nothing behind',
    keptBy: async (open) => {
      const replicas = [await open(), await open()];
      const streams = ['clerk', 'teller', 'auditor'];
      const { seen, publish } = publication();
      const writers = streams.map(async (stream, i) => {
        const store = replicas[i % 2];
        ok(store);
        for (let n = 0; n < 12; n += 1) {
          const written = { ...order(`command-${String(n)}`), stream };
          if (n % 3 === 0) await notes(store).handleAndPublish(written, publish);
          else await notes(store).handle(written);
        }
      });
      const sweepers = replicas.map(async (store) => {
        for (let n = 0; n < 8; n += 1) await publishLeftovers(store, publish);
      });
      await Promise.all([...writers, ...sweepers]);
      for (const store of replicas) await publishLeftovers(store, publish);
      for (const stream of streams) {
        const versions = seen
          .filter((line) => line.startsWith(`${stream}/`))
          .map((line) => Number(/\d+/.exec(line)?.[0]));
        deepStrictEqual(
          versions,
          Array.from({ length: 12 }, (_, i) => i + 1),
        );
      }
    },
  },
  {
    promise: 'more events than one turn carries are published in order',
    keptBy: async (open) => {
      const store = await open();
      const notes = Array.from({ length: 450 }, (_, i) => `note ${String(i)}`);
      await store.append('clerk', append(0, 'many', ...notes));
      const { seen, publish } = publication();
      strictEqual(await publishStream(store, 'clerk', publish), 450);
      deepStrictEqual(seen, told((await store.readStream('clerk')).events));
    },
  },
];
