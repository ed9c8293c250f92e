import type { TopicDeclaration } from '#contracts';
import type { Bus, Following, ReadPosition, ReceivedMessage, StartPosition } from './bus.js';
import { DroppingQueue } from './dropping-queue.js';
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

/** What is kept of one key. */
interface KeyView<State> {
  readonly versions: DroppingQueue<Version<State>>;
  /** Of positions before this one nothing is known; events before it are in the first version already. */
  readonly knownFrom: number;
}

/** One partition as far as it has been read. */
interface PartitionView<State> {
  position: number;
  /** Running maximum of append times as far as it has been read, ms. */
  logTime: number;
  /** Questions about earlier times than this are not answered, ms. */
  horizon: number;
  readonly timeline: DroppingQueue<Moment>;
  readonly keys: Map<string, KeyView<State>>;
  /** Every version in log order: what leaves the window is found without a search. */
  readonly changes: DroppingQueue<{ readonly key: string; readonly logTime: number }>;
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

/** A state, and the offset after the last event of its key that it holds. */
export interface StateOfKey<State> {
  readonly position: number;
  readonly state: State;
}

/** One partition as of a position, by which a view can read on from there instead of from the start. */
export interface Cut<State> {
  /** Everything before this offset is in the states. */
  readonly position: number;
  /** Running maximum of append times before the position, ms since the epoch. */
  readonly logTime: number;
  /** Of a key whose own position lies beyond the cut's, only what follows its own position is known. */
  readonly states: ReadonlyMap<string, StateOfKey<State>>;
}

export interface AsOfViewOptions<State> {
  /**
   * How far back questions are answered, ms of log time before the newest event of the partition. What is older
   * collapses into one state per key. Default: everything is kept.
   */
  readonly windowMs?: number;
  /** Cuts to read on from, by partition; partitions without one are read from the start. Asked for once, at the start. */
  readonly cuts?: () => Promise<ReadonlyMap<number, Cut<State>>>;
  /** Which keys {@link AsOfView.openKeys} lists, by their latest state. Default: none. */
  readonly isOpen?: (state: State) => boolean;
}

/**
 * The state of every key of one topic, now and at any earlier point inside a window, folded from the topic's events. A
 * private reader of its own feeds it. Inside the window the answers are those of a view that has read everything from
 * the start, wherever it began; beyond it there are none. Its size depends on what is alive and on what has happened
 * within the window, not on the length of the log.
 *
 * Events that lie in another partition than their key's are not counted: nobody could say when they came.
 */
export class AsOfView<State> {
  readonly #partitions: readonly PartitionView<State>[];
  readonly #waiters = new Set<Waiter>();
  readonly #windowMs: number;
  readonly #cuts: (() => Promise<ReadonlyMap<number, Cut<State>>>) | undefined;
  readonly #isOpen: (state: State) => boolean;
  readonly #openKeys = new Set<string>();
  #following: Promise<Following> | undefined;
  #read = 0;

  constructor(
    private readonly bus: Bus,
    private readonly topic: Pick<TopicDeclaration, 'name' | 'partitions'>,
    /** Must not change the state it is given: earlier states are kept. `undefined` forgets the key. */
    private readonly fold: (state: State | undefined, message: ReceivedMessage) => State | undefined,
    { windowMs = Infinity, cuts, isOpen = () => false }: AsOfViewOptions<State> = {},
  ) {
    this.#windowMs = windowMs;
    this.#cuts = cuts;
    this.#isOpen = isOpen;
    this.#partitions = Array.from({ length: topic.partitions }, () => ({
      position: 0,
      logTime: 0,
      horizon: 0,
      timeline: new DroppingQueue<Moment>(),
      keys: new Map<string, KeyView<State>>(),
      changes: new DroppingQueue<{ readonly key: string; readonly logTime: number }>(),
    }));
  }

  /** Begins to read. {@link waitUntil} tells when something has been read. */
  async start(): Promise<void> {
    this.#following ??= this.#start();
    await this.#following;
  }

  async #start(): Promise<Following> {
    const positions = new Map<number, StartPosition>();
    for (const [partition, cut] of (await this.#cuts?.()) ?? []) {
      const view = this.#partitions[partition];
      if (view === undefined) continue;
      beginAt(view, cut);
      for (const [key, { state }] of cut.states) this.#noteOpen(key, state);
      positions.set(partition, { nextOffset: cut.position, logTime: cut.logTime });
    }
    const from = positions.size === 0 ? 'start' : positions;
    return this.bus.follow({ topics: [this.topic.name], from }, (messages, position) => {
      this.#take(messages, position);
    });
  }

  /** Ends reading; whoever still waits is told that it has not been reached. */
  async stop(): Promise<void> {
    const following = this.#following;
    this.#following = undefined;
    await (await following?.catch(() => undefined))?.stop();
    for (const waiter of [...this.#waiters]) waiter.settle(false);
  }

  #take(messages: readonly ReceivedMessage[], position: ReadPosition): void {
    const view = this.#partitions[position.partition];
    if (view === undefined) return;
    for (const message of messages) {
      // handed out again after a fold that threw
      if (message.offset < view.position) continue;
      this.#add(view, message);
      this.#read += 1;
    }
    if (position.nextOffset > view.position) view.position = position.nextOffset;
    for (const waiter of this.#waiters) if (this.#hasReached(waiter.ends)) waiter.settle(true);
  }

  #add(view: PartitionView<State>, message: ReceivedMessage): void {
    const { logTime, partition } = message;
    const nextOffset = message.offset + 1;
    if (message.key !== null && partitionOf(message.key, this.topic.partitions) === partition) {
      this.#fold(view, message.key.toString('utf8'), message);
    }
    const last = view.timeline.last();
    if (last?.logTime === logTime) last.nextOffset = nextOffset;
    else view.timeline.push({ logTime, nextOffset });
    view.position = nextOffset;
    view.logTime = logTime;
    if (logTime - this.#windowMs > view.horizon) {
      view.horizon = logTime - this.#windowMs;
      dropBeforeHorizon(view);
    }
  }

  #fold(view: PartitionView<State>, key: string, message: ReceivedMessage): void {
    const { logTime, offset } = message;
    const known = view.keys.get(key);
    if (known !== undefined && offset < known.knownFrom) return;
    const state = this.fold(known?.versions.last()?.state, message);
    const version = { logTime, nextOffset: offset + 1, state };
    if (known === undefined) {
      const versions = new DroppingQueue<Version<State>>();
      versions.push(version);
      view.keys.set(key, { versions, knownFrom: 0 });
    } else {
      known.versions.push(version);
    }
    view.changes.push({ key, logTime });
    this.#noteOpen(key, state);
  }

  #noteOpen(key: string, state: State | undefined): void {
    if (state !== undefined && this.#isOpen(state)) this.#openKeys.add(key);
    else this.#openKeys.delete(key);
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
   * millisecond is over. `undefined`: what was then is no longer kept.
   */
  asOf(key: string, time: number): AsOf<State> | undefined {
    const view = this.#viewOf(key);
    if (time < view.horizon) return undefined;
    const position = view.timeline.lastWhere((moment) => moment.logTime < time)?.nextOffset ?? 0;
    const held = stateAt(view, key, position);
    return held && { position, state: held.state };
  }

  /** The state made by exactly the events before this offset of the key's partition. `undefined`: no longer kept. */
  at(key: string, position: number): { readonly state: State | undefined } | undefined {
    const view = this.#viewOf(key);
    return position < firstPosition(view) ? undefined : stateAt(view, key, position);
  }

  /** The state by all that has been read. For readiness only: to judge, ask as of a time or a position. */
  latest(key: string): State | undefined {
    return this.#viewOf(key).keys.get(key)?.versions.last()?.state;
  }

  /** Every key of which something is kept. */
  *keys(): IterableIterator<string> {
    for (const { keys } of this.#partitions) yield* keys.keys();
  }

  /** The keys whose latest state is open. Costs what there is of those, however many other keys there are. */
  openKeys(): IterableIterator<string> {
    return this.#openKeys.values();
  }

  /**
   * A partition as a view may read on from it: by all events with an earlier log time than `time`, ms since the epoch.
   * `undefined`: there are none, what was then is no longer kept, or the position is not `wanted`.
   */
  cutAt(partition: number, time: number, wanted: (position: number) => boolean = () => true): Cut<State> | undefined {
    const view = this.#partitions[partition];
    if (view === undefined || time < view.horizon) return undefined;
    const moment = view.timeline.lastWhere(({ logTime }) => logTime < time);
    if (moment === undefined || !wanted(moment.nextOffset)) return undefined;
    const states = new Map<string, StateOfKey<State>>();
    for (const [key, { versions, knownFrom }] of view.keys) {
      // it was read on from a cut that was never completed, later than this one
      if (knownFrom > moment.nextOffset) return undefined;
      const version = versions.lastWhere(({ nextOffset }) => nextOffset <= moment.nextOffset);
      if (version?.state !== undefined) states.set(key, { position: version.nextOffset, state: version.state });
    }
    return { position: moment.nextOffset, logTime: moment.logTime, states };
  }

  /** How far each partition has been read: the next offset. */
  positions(): number[] {
    return this.#partitions.map(({ position }) => position);
  }

  /** Messages read since the start, and what is kept of them. */
  size(): { readonly read: number; readonly keys: number; readonly states: number; readonly moments: number } {
    let [keys, states, moments] = [0, 0, 0];
    for (const view of this.#partitions) {
      keys += view.keys.size;
      moments += view.timeline.length;
      for (const { versions } of view.keys.values()) states += versions.length;
    }
    return { read: this.#read, keys, states, moments };
  }

  #viewOf(key: string): PartitionView<State> {
    return this.#partitions[partitionOf(key, this.topic.partitions)] as PartitionView<State>;
  }
}

function beginAt<State>(view: PartitionView<State>, { position, logTime, states }: Cut<State>): void {
  view.position = position;
  view.logTime = logTime;
  view.horizon = logTime + 1;
  view.timeline.push({ logTime, nextOffset: position });
  for (const [key, one] of states) {
    const versions = new DroppingQueue<Version<State>>();
    versions.push({ logTime, nextOffset: one.position, state: one.state });
    view.keys.set(key, { versions, knownFrom: one.position > position ? one.position : 0 });
  }
}

/** Leaves the last moment and, of each key, the last version before the horizon: questions at the horizon need them. */
function dropBeforeHorizon<State>({ timeline, changes, keys, horizon }: PartitionView<State>): void {
  const isPast = ({ logTime }: { readonly logTime: number }): boolean => logTime < horizon;
  timeline.dropAllButLastWhere(isPast);
  for (let change = changes.first(); change !== undefined && isPast(change); change = changes.first()) {
    changes.drop();
    const versions = keys.get(change.key)?.versions;
    if (versions === undefined) continue;
    versions.dropAllButLastWhere(isPast);
    if (versions.length === 1 && versions.first()?.state === undefined) keys.delete(change.key);
  }
}

/** The earliest position that questions inside the window can be about. */
function firstPosition<State>({ timeline, horizon }: PartitionView<State>): number {
  const oldest = timeline.first();
  return oldest !== undefined && oldest.logTime < horizon ? oldest.nextOffset : 0;
}

/** `undefined`: it is not known. */
function stateAt<State>(
  view: PartitionView<State>,
  key: string,
  position: number,
): { readonly state: State | undefined } | undefined {
  const known = view.keys.get(key);
  if (known === undefined) return NOTHING;
  if (position < known.knownFrom) return undefined;
  return known.versions.lastWhere((version) => version.nextOffset <= position) ?? NOTHING;
}

const NOTHING = { state: undefined } as const;
