import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { GAP_KINDS, type Gap, type GapKind } from '#domain';
import {
  GapLookUp,
  MemoryWatchState,
  RECONCILED_TOPICS,
  TrulyNotStored,
  type AboutIntent,
  type History,
  type WatchState,
} from '#record';

/** Gaps by kind; every kind is there. */
export type GapCounts = Readonly<Record<GapKind, number>>;

export interface GapWatchOptions {
  /** The clock of this process, ms since the epoch. It only says how old a gap is. */
  readonly now: () => number;
  /** How long a gap may stay open before it counts, ms. */
  readonly graceMs?: Partial<Record<GapKind, number>>;
  /** Gaps of events appended longer ago than this are not counted any more, ms; a day unless told. */
  readonly windowMs?: number;
  /** How long the record may take to catch up with the log before a look is given up, ms. */
  readonly catchUpMs?: number;
  /** Where it keeps its positions and what it has found; in memory unless told. */
  readonly state?: WatchState;
}

/** What is saved of a watch. */
interface Saved {
  readonly next: readonly (readonly [string, readonly number[]])[];
  readonly young: readonly (readonly [string, readonly Gap[]])[];
  readonly found: readonly (readonly [number, Record<GapKind, number>])[];
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MINUTE_MS = 60_000;

/** What an agent reports and what Remit decides is on its way for a while; what must never be counts at once. */
const GRACE_MS: Record<GapKind, number> = {
  'intent-without-decision': MINUTE_MS,
  'allow-without-outcome': 5 * MINUTE_MS,
  'outcome-without-allow': 0,
  'outcome-differs': 0,
  'executed-too-late': 0,
};

function noGaps(): Record<GapKind, number> {
  return Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])) as Record<GapKind, number>;
}

/** Gaps that may yet close, by the intent they are about. */
type Young = Map<string, Gap[]>;

/** Gaps that count, by the minute in which their event was appended. */
type Found = Map<number, Record<GapKind, number>>;

/** One look at the record; it counts for nothing until it is over. */
interface Looking {
  readonly now: number;
  readonly lookUp: GapLookUp;
  /** What was young before and has not been looked at again. */
  readonly earlier: Young;
  readonly young: Young;
  readonly found: Found;
}

/**
 * Looks for gaps again and again, in whatever the record has got since the last look. Positions and counts are saved
 * with each look, so a restart goes on where it was, and of replicas that look at the same time one counts. A look counts only what the record is
 * complete for, so an audit that lags behind raises no alarm by itself.
 */
export class GapWatch {
  readonly #notStored: TrulyNotStored;
  readonly #windowMs: number;
  readonly #graceMs: Record<GapKind, number>;
  readonly #catchUpMs: number;
  /** Next offsets by topic and partition; `undefined` before the first look. */
  #next: Map<string, number[]> | undefined;
  #young: Young = new Map();
  #found: Found = new Map();
  readonly #state: WatchState;

  constructor(
    private readonly bus: Pick<Bus, 'ends' | 'firstBetween'>,
    private readonly history: History,
    private readonly options: GapWatchOptions,
  ) {
    this.#notStored = new TrulyNotStored(bus);
    this.#windowMs = options.windowMs ?? DAY_MS;
    this.#graceMs = { ...GRACE_MS, ...options.graceMs };
    this.#catchUpMs = options.catchUpMs ?? 10_000;
    this.#state = options.state ?? new MemoryWatchState();
  }

  /** The gaps whose events were appended within the window, as of the last look. */
  counts(): GapCounts {
    const sum = noGaps();
    for (const counts of this.#found.values()) for (const kind of GAP_KINDS) sum[kind] += counts[kind];
    return sum;
  }

  /**
   * One look. `false`: the record has not got as far as the log; nothing was counted, the next look will. Rejects once
   * `givenUp`: the process is ending, and the next one goes on where the last whole look has ended.
   */
  async look(givenUp?: AbortSignal): Promise<boolean> {
    const now = this.options.now();
    const ends = await this.bus.ends(RECONCILED_TOPICS);
    if (!(await this.#recordReaches(ends, givenUp))) return false;
    const { version } = await this.#restore();
    const looking: Looking = {
      now,
      lookUp: new GapLookUp(this.history, now),
      earlier: new Map(this.#young),
      young: new Map(),
      found: structuredClone(this.#found),
    };
    if (this.#next === undefined) {
      for await (const page of this.history.stream({ topics: RECONCILED_TOPICS, from: now - this.#windowMs })) {
        givenUp?.throwIfAborted();
        // What came while it looked belongs to the next look.
        const before = page.filter(({ topic, partition, offset }) => offset < (ends.get(topic)?.[partition] ?? 0));
        await this.#reconcile(before, looking);
      }
    } else {
      for (const [topic, offsets] of ends) await this.#readOn(topic, offsets, looking, givenUp);
    }
    this.#countOld(looking);
    // another replica may have been further than where this one saw the log end
    const next = [...ends].map(([topic, offsets]): [string, number[]] => [
      topic,
      offsets.map((end, partition) => Math.max(end, this.#next?.get(topic)?.[partition] ?? 0)),
    ]);
    const saved: Saved = { next, young: [...looking.young], found: [...looking.found] };
    // another replica was faster: what it has found counts
    if (await this.#state.save(version, saved)) this.#take(saved);
    else await this.#restore();
    return true;
  }

  /** Goes on from what this or another replica has saved last. */
  async #restore(): Promise<{ readonly version: number }> {
    const { version, state } = await this.#state.load();
    if (state !== undefined) this.#take(state as Saved);
    return { version };
  }

  #take({ next, young, found }: Saved): void {
    this.#next = new Map(next.map(([topic, offsets]) => [topic, [...offsets]]));
    this.#young = new Map(young.map(([intentId, gaps]) => [intentId, [...gaps]]));
    this.#found = new Map(found.map(([minute, counts]) => [minute, { ...counts }]));
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

  async #readOn(topic: string, ends: readonly number[], looking: Looking, givenUp?: AbortSignal): Promise<void> {
    for (const [partition, to] of ends.entries()) {
      const from = this.#next?.get(topic)?.[partition] ?? 0;
      if (from >= to) continue;
      for await (const page of this.history.partition({ topic, partition, from, to })) {
        givenUp?.throwIfAborted();
        await this.#reconcile(page, looking);
      }
    }
  }

  /** Everything about the intents of these entries, as it stands now. */
  async #reconcile(entries: readonly AboutIntent[], looking: Looking): Promise<void> {
    const { lookUp, earlier } = looking;
    // A gap counts once: with its own event, or when it has grown old while it was watched.
    const due = [...entries];
    for (const { intentId } of entries) {
      if (intentId === null) continue;
      due.push(...(earlier.get(intentId) ?? []));
      earlier.delete(intentId);
    }
    for (const gap of await lookUp.at(due)) this.#sort(gap, looking);
  }

  /** What was young at an earlier look and has not closed since. */
  #countOld(looking: Looking): void {
    for (const gaps of looking.earlier.values()) for (const gap of gaps) this.#sort(gap, looking);
    const oldest = Math.floor((looking.now - this.#windowMs) / MINUTE_MS);
    for (const minute of looking.found.keys()) if (minute < oldest) looking.found.delete(minute);
  }

  /** Counts a gap, or waits until it is old enough. */
  #sort(gap: Gap, { now, young, found }: Looking): void {
    if (now - gap.appendTime < this.#graceMs[gap.kind]) {
      const waiting = young.get(gap.intentId);
      if (waiting === undefined) young.set(gap.intentId, [gap]);
      else waiting.push(gap);
      return;
    }
    const minute = Math.floor(gap.appendTime / MINUTE_MS);
    const counts = found.get(minute) ?? noGaps();
    counts[gap.kind] += 1;
    found.set(minute, counts);
  }
}
