import type { TopicDeclaration } from '#contracts';
import type { Bus, Following, ReadPosition, ReceivedMessage } from './bus.js';
import { partitionOf } from './partition-of.js';

/** The state of a key after one of its events. */
interface Version<State> {
  readonly logTime: number;
  readonly nextOffset: number;
  readonly state: State | undefined;
}

/** After all events of this partition with a log time up to `logTime`, the next offset is `nextOffset`. */
interface Moment {
  readonly logTime: number;
  nextOffset: number;
}

/** One partition as far as it has been read. */
interface PartitionView<State> {
  position: number;
  readonly timeline: Moment[];
  readonly versions: Map<string, Version<State>[]>;
}

interface Waiter {
  readonly ends: readonly number[];
  settle(reached: boolean): void;
}

/** The state of a key as of some point, and that point: the offset after the last event that counts. */
export interface AsOf<State> {
  readonly position: number;
  readonly state: State | undefined;
}

/**
 * The state of every key of one topic, now and at any earlier point, folded from the topic's events. A private reader
 * of its own feeds it from the start of the topic; nothing is stored.
 *
 * Events that lie in another partition than their key's are not counted: nobody could say when they came.
 */
export class AsOfView<State> {
  readonly #partitions: readonly PartitionView<State>[];
  readonly #waiters = new Set<Waiter>();
  #following: Following | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly topic: Pick<TopicDeclaration, 'name' | 'partitions'>,
    /** Must not change the state it is given: earlier states are kept. `undefined` forgets the key. */
    private readonly fold: (state: State | undefined, message: ReceivedMessage) => State | undefined,
  ) {
    this.#partitions = Array.from({ length: topic.partitions }, () => ({
      position: 0,
      timeline: [],
      versions: new Map<string, Version<State>[]>(),
    }));
  }

  /** Begins to read. {@link waitUntil} tells when something has been read. */
  async start(): Promise<void> {
    this.#following ??= await this.bus.follow({ topics: [this.topic.name], from: 'start' }, (messages, position) => {
      this.#read(messages, position);
    });
  }

  /** Ends reading; whoever still waits is told that it has not been reached. */
  async stop(): Promise<void> {
    const following = this.#following;
    this.#following = undefined;
    await following?.stop();
    for (const waiter of [...this.#waiters]) waiter.settle(false);
  }

  #read(messages: readonly ReceivedMessage[], position: ReadPosition): void {
    const view = this.#partitions[position.partition];
    if (view === undefined) return;
    for (const message of messages) {
      // handed out again after a fold that threw
      if (message.offset < view.position) continue;
      this.#add(view, message);
    }
    if (position.nextOffset > view.position) view.position = position.nextOffset;
    for (const waiter of this.#waiters) if (this.#hasReached(waiter.ends)) waiter.settle(true);
  }

  #add(view: PartitionView<State>, message: ReceivedMessage): void {
    const { logTime, partition } = message;
    const nextOffset = message.offset + 1;
    if (message.key !== null && partitionOf(message.key, this.topic.partitions) === partition) {
      const key = message.key.toString('utf8');
      const versions = view.versions.get(key);
      const state = this.fold(versions?.at(-1)?.state, message);
      const version = { logTime, nextOffset, state };
      if (versions === undefined) view.versions.set(key, [version]);
      else versions.push(version);
    }
    const last = view.timeline.at(-1);
    if (last?.logTime === logTime) last.nextOffset = nextOffset;
    else view.timeline.push({ logTime, nextOffset });
    view.position = nextOffset;
  }

  /**
   * Resolves with `true` as soon as everything before these ends (one per partition) has been read, at once if it has;
   * with `false` after `timeoutMs` or when the view is stopped.
   */
  waitUntil(ends: readonly number[], timeoutMs: number): Promise<boolean> {
    if (this.#hasReached(ends)) return Promise.resolve(true);
    if (timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        ends,
        settle: (reached) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(reached);
        },
      };
      const timer = setTimeout(() => waiter.settle(false), timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  #hasReached(ends: readonly number[]): boolean {
    return ends.every((end, partition) => this.reached(partition, end));
  }

  /** Everything before this offset of the partition has been read. */
  reached(partition: number, position: number): boolean {
    return position <= (this.#partitions[partition]?.position ?? 0);
  }

  /**
   * The state made by exactly those events of the key's partition whose log time is strictly earlier than `time`,
   * ms since the epoch. Strictly, because an event of the same millisecond may still be appended after the look-up of
   * the ends: only earlier milliseconds are over for good. Whoever tells people that an event holds waits until its
   * millisecond is over.
   */
  asOf(key: string, time: number): AsOf<State> {
    const view = this.#viewOf(key);
    const moment = lastWhere(view?.timeline, (one) => one.logTime < time);
    if (view === undefined || moment === undefined) return { position: 0, state: undefined };
    return { position: moment.nextOffset, state: stateAt(view, key, moment.nextOffset) };
  }

  /** The state made by exactly the events before this offset of the key's partition. */
  at(key: string, position: number): State | undefined {
    const view = this.#viewOf(key);
    return view && stateAt(view, key, position);
  }

  /** The state by all that has been read. For readiness only: to judge, ask as of a time or a position. */
  latest(key: string): State | undefined {
    return this.#viewOf(key)?.versions.get(key)?.at(-1)?.state;
  }

  /** Every key of which something has been read. */
  *keys(): IterableIterator<string> {
    for (const { versions } of this.#partitions) yield* versions.keys();
  }

  #viewOf(key: string): PartitionView<State> | undefined {
    return this.#partitions[partitionOf(key, this.topic.partitions)];
  }
}

function stateAt<State>(view: PartitionView<State>, key: string, position: number): State | undefined {
  return lastWhere(view.versions.get(key), (version) => version.nextOffset <= position)?.state;
}

/** The last item that fulfils a condition which holds for all items up to some point and for none after it. */
function lastWhere<Item>(items: readonly Item[] | undefined, holds: (item: Item) => boolean): Item | undefined {
  const newest = items?.at(-1);
  if (items === undefined || newest === undefined || holds(newest)) return newest;
  let from = 0;
  let to = items.length - 1;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (holds(items[middle] as Item)) from = middle + 1;
    else to = middle;
  }
  return items[from - 1];
}
