import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { TOPICS } from '#contracts';
import { GAP_KINDS, type GapKind } from '#domain';
import {
  MemoryWatchState,
  OutlinedGapLookUp,
  RECONCILED_TOPICS,
  TrulyNotStored,
  type History,
  type PlaceOfEntry,
  type WatchState,
} from '#record';

/** Gaps by kind; every kind is there. */
export type GapCounts = Readonly<Record<GapKind, number>>;

export interface GapWatchOptions {
  /** The clock of this process, ms since the epoch. It only says how old a gap is. */
  readonly now: () => number;
  /** Gaps of events appended longer ago than this are not counted any more, ms; a day unless told. */
  readonly windowMs?: number;
  /** How long the record may take to catch up with the log before a look is given up, ms. */
  readonly catchUpMs?: number;
  /** Pages of at most 1,000 entries that one look takes; 100 unless told. */
  readonly maxPages?: number;
  /** Where it keeps its positions and what it has found; in memory unless told. */
  readonly state?: WatchState;
}

/**
 * `whole`: everything that is due was looked at. `part`: the most pages of one look were; the next look goes on there.
 * `behind`: the record has not got as far as the log; nothing was looked at.
 */
export type Look = 'whole' | 'part' | 'behind';

/** What is saved of a watch: an offset for each partition, and five numbers for each minute of the window. */
interface Saved {
  readonly next: readonly (readonly [string, readonly number[]])[];
  readonly found: readonly (readonly [number, Record<GapKind, number>])[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const HOUR_MS = 60 * 60 * 1000;
const MINUTE_MS = 60_000;
const MAX_PAGES = 100;
/** Outlines are kept for as many windows: an entry older than that is opened when something new is said about it. */
const WINDOWS_OUTLINED = 2;

/**
 * How old an event is when it is looked at, ms. Each kind of gap lies at events of one topic: what agents report and what
 * Remit decides is on its way for a while; what must never be is looked for at once.
 */
const GRACE_MS: Record<string, number> = {
  [TOPICS.agentActions.name]: MINUTE_MS,
  [TOPICS.agentDecisions.name]: 5 * MINUTE_MS,
  [TOPICS.agentOutcomes.name]: 0,
};

function noGaps(): Record<GapKind, number> {
  return Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])) as Record<GapKind, number>;
}

/** Next offsets by topic and partition. */
type Next = Map<string, number[]>;

/** Gaps that count, by the minute in which their event was appended. */
type Found = Map<number, Record<GapKind, number>>;

/** One look at the record: how far it has got, and what it has found by then. */
interface Looking {
  readonly now: number;
  readonly lookUp: OutlinedGapLookUp;
  readonly next: Next;
  readonly found: Found;
  pages: number;
  isCut: boolean;
}

/**
 * Looks for gaps again and again, in whatever the record has got since the last look. It reads search columns, and opens
 * an entry only where these do not show that everything adds up. Positions and counts are saved with each look, also
 * with one that could not end, so a restart goes on where it was, and of replicas that look at the same time one counts.
 * A look counts only what the record is complete for, so an audit that lags behind raises no alarm by itself.
 */
export class GapWatch {
  readonly #notStored: TrulyNotStored;
  readonly #windowMs: number;
  readonly #catchUpMs: number;
  readonly #maxPages: number;
  readonly #state: WatchState;
  /** `undefined` before the first look. */
  #next: Next | undefined;
  #found: Found = new Map();
  #left: number | undefined;
  #wholeAt: number;
  #forgotAt = -Infinity;

  constructor(
    private readonly bus: Pick<Bus, 'ends' | 'firstBetween'>,
    private readonly history: History,
    private readonly options: GapWatchOptions,
  ) {
    this.#notStored = new TrulyNotStored(bus);
    this.#windowMs = options.windowMs ?? DAY_MS;
    this.#catchUpMs = options.catchUpMs ?? 10_000;
    this.#maxPages = options.maxPages ?? MAX_PAGES;
    this.#state = options.state ?? new MemoryWatchState();
    this.#wholeAt = options.now();
  }

  /** The gaps whose events were appended within the window, as of the last look. */
  counts(): GapCounts {
    const sum = noGaps();
    for (const counts of this.#found.values()) for (const kind of GAP_KINDS) sum[kind] += counts[kind];
    return sum;
  }

  /**
   * Offsets that the last look has left to the next one, those of events that are not due yet among them; `undefined`
   * before the first look.
   */
  get left(): number | undefined {
    return this.#left;
  }

  /** Since everything that was due was last looked at, or since this watch was made, ms. */
  get wholeAgeMs(): number {
    return Math.max(0, this.options.now() - this.#wholeAt);
  }

  /**
   * One look. Rejects when the record cannot be read, and once `givenUp`, as the process ends; what was looked at by
   * then is saved, and the next look goes on there.
   */
  async look(givenUp?: AbortSignal): Promise<Look> {
    const now = this.options.now();
    const ends = await this.bus.ends(RECONCILED_TOPICS);
    if (!(await this.#recordReaches(ends, givenUp))) {
      if (this.#next !== undefined) this.#left = leftOf(this.#next, ends);
      return 'behind';
    }
    const { version } = await this.#restore();
    const looking: Looking = {
      now,
      lookUp: new OutlinedGapLookUp(this.history, now),
      next: structuredClone(this.#next) ?? (await this.#windowBegins(ends, now)),
      found: structuredClone(this.#found),
      pages: 0,
      isCut: false,
    };
    try {
      for (const [topic, offsets] of ends) {
        if (!looking.isCut) await this.#readOn(topic, offsets, looking, givenUp);
      }
    } catch (error) {
      // why it failed is what is told
      if (looking.pages > 0) await this.#save(version, looking).catch(() => undefined);
      throw error;
    }
    await this.#save(version, looking);
    this.#left = leftOf(looking.next, ends);
    if (looking.isCut) return 'part';
    this.#wholeAt = now;
    await this.#forgetOutlines(now);
    return 'whole';
  }

  async #save(version: number, { now, next, found }: Looking): Promise<void> {
    const oldest = Math.floor((now - this.#windowMs) / MINUTE_MS);
    for (const minute of found.keys()) if (minute < oldest) found.delete(minute);
    const saved: Saved = { next: [...next], found: [...found] };
    // another replica was faster: what it has found counts
    if (await this.#state.save(version, saved)) this.#take(saved);
    else await this.#restore();
  }

  /** Goes on from what this or another replica has saved last. */
  async #restore(): Promise<{ readonly version: number }> {
    const { version, state } = await this.#state.load();
    if (state !== undefined) this.#take(state as Saved);
    return { version };
  }

  #take({ next, found }: Saved): void {
    this.#next = new Map(next.map(([topic, offsets]) => [topic, [...offsets]]));
    this.#found = new Map(found.map(([minute, counts]) => [minute, { ...counts }]));
  }

  /** What was appended before the window is never looked at. */
  async #windowBegins(ends: ReadonlyMap<string, readonly number[]>, now: number): Promise<Next> {
    const next: Next = new Map([...ends].map(([topic, offsets]) => [topic, [...offsets]]));
    for (const { topic, partition, offset } of await this.history.firstSince(RECONCILED_TOPICS, now - this.#windowMs)) {
      const offsets = next.get(topic);
      if (offsets !== undefined && offset < (offsets[partition] ?? 0)) offsets[partition] = offset;
    }
    return next;
  }

  async #recordReaches(ends: ReadonlyMap<string, readonly number[]>, givenUp?: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + this.#catchUpMs;
    for (;;) {
      const stored = await this.history.positions();
      const isOver = performance.now() > deadline;
      const missing = await this.#notStored.count(ends, stored, { atOnce: isOver });
      if ([...missing.values()].flat().every((messages) => messages === 0)) return true;
      if (isOver) return false;
      await sleep(100, undefined, givenUp === undefined ? {} : { signal: givenUp });
    }
  }

  /** Up to what came while it looked, which belongs to the next look, and to what is not due yet. */
  async #readOn(topic: string, ends: readonly number[], looking: Looking, givenUp?: AbortSignal): Promise<void> {
    const next = looking.next.get(topic) ?? [];
    looking.next.set(topic, next);
    const dueUntil = looking.now - (GRACE_MS[topic] ?? 0);
    for (const [partition, to] of ends.entries()) {
      const from = (next[partition] ??= 0);
      // another replica may have been further than where this one saw the log end
      if (from >= to) continue;
      let isWhole = true;
      for await (const page of this.history.places({ topic, partition, from, to })) {
        givenUp?.throwIfAborted();
        if (looking.pages >= this.#maxPages) {
          looking.isCut = true;
          return;
        }
        const young = page.findIndex(({ appendTime }) => appendTime > dueUntil);
        const due = young === -1 ? page : page.slice(0, young);
        await this.#reconcile(due, looking);
        next[partition] = (due.at(-1)?.offset ?? from - 1) + 1;
        looking.pages += 1;
        if (young !== -1) {
          next[partition] = page[young]?.offset ?? next[partition];
          isWhole = false;
          break;
        }
        // whoever shares this thread gets a turn
        await setImmediate();
      }
      if (isWhole) next[partition] = to;
    }
  }

  /** Counts each gap that lies at one of these places, as it stands now: so each counts once, with its own event. */
  async #reconcile(places: readonly PlaceOfEntry[], { lookUp, found }: Looking): Promise<void> {
    for (const { appendTime, kind } of await lookUp.at(places)) {
      const minute = Math.floor(appendTime / MINUTE_MS);
      const counts = found.get(minute) ?? noGaps();
      counts[kind] += 1;
      found.set(minute, counts);
    }
  }

  async #forgetOutlines(now: number): Promise<void> {
    if (now - this.#forgotAt < HOUR_MS) return;
    await this.history.forgetOutlines(now - WINDOWS_OUTLINED * this.#windowMs);
    this.#forgotAt = now;
  }
}

function leftOf(next: Next, ends: ReadonlyMap<string, readonly number[]>): number {
  let left = 0;
  for (const [topic, offsets] of ends) {
    for (const [partition, end] of offsets.entries()) left += Math.max(0, end - (next.get(topic)?.[partition] ?? 0));
  }
  return left;
}
