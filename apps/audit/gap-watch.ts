import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '#bus';
import { GAP_KINDS, type Gap, type GapKind } from '#domain';
import { gapsAbout, notStored, RECONCILED_TOPICS, type History, type HistoryEntry } from '#record';

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
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MINUTE_MS = 60_000;
/** More entries about one intent than an honest agent ever causes. */
const CROWD = 1000;

/** What an agent reports and what Remit decides is on its way for a while; what must never be counts at once. */
const GRACE_MS: Record<GapKind, number> = {
  'intent-without-decision': MINUTE_MS,
  'allow-without-outcome': 5 * MINUTE_MS,
  'outcome-without-allow': 0,
  'outcome-differs': 0,
  'executed-too-late': 0,
};

function intentOf({
  agentId,
  intentId,
}: {
  readonly agentId: string | null;
  readonly intentId: string | null;
}): string {
  return `${agentId ?? ''}\n${intentId ?? ''}`;
}

function noGaps(): Record<GapKind, number> {
  return Object.fromEntries(GAP_KINDS.map((kind) => [kind, 0])) as Record<GapKind, number>;
}

/**
 * Looks for gaps again and again, in whatever the record has got since the last look. It keeps nothing on disk: after
 * a restart, or in another replica, the same record gives the same counts. A look counts only what the record is
 * complete for, so an audit that lags behind raises no alarm by itself.
 */
export class GapWatch {
  readonly #windowMs: number;
  readonly #graceMs: Record<GapKind, number>;
  readonly #catchUpMs: number;
  /** Next offsets by topic and partition; `undefined` before the first look. */
  #next: Map<string, number[]> | undefined;
  /** Gaps that may yet close, by the intent they are about. */
  readonly #young = new Map<string, readonly Gap[]>();
  /** The gaps of ids that an agent has used so often that they are read once in a look, not for every page they fill. */
  readonly #crowded = new Map<string, readonly Gap[]>();
  /** Gaps that count, by the minute in which their event was appended. */
  readonly #found = new Map<number, Record<GapKind, number>>();

  constructor(
    private readonly bus: Pick<Bus, 'ends'>,
    private readonly history: History,
    private readonly options: GapWatchOptions,
  ) {
    this.#windowMs = options.windowMs ?? DAY_MS;
    this.#graceMs = { ...GRACE_MS, ...options.graceMs };
    this.#catchUpMs = options.catchUpMs ?? 10_000;
  }

  /** The gaps whose events were appended within the window, as of the last look. */
  counts(): GapCounts {
    const sum = noGaps();
    for (const counts of this.#found.values()) for (const kind of GAP_KINDS) sum[kind] += counts[kind];
    return sum;
  }

  /**
   * One look. `false`: the record has not got as far as the log; nothing was counted, the next look will. Rejects once
   * `givenUp`: the process is ending, and the next one looks at everything anew.
   */
  async look(givenUp?: AbortSignal): Promise<boolean> {
    const now = this.options.now();
    const ends = await this.bus.ends(RECONCILED_TOPICS);
    if (!(await this.#recordReaches(ends, givenUp))) return false;
    this.#crowded.clear();
    if (this.#next === undefined) {
      for await (const page of this.history.stream({ topics: RECONCILED_TOPICS, from: now - this.#windowMs })) {
        givenUp?.throwIfAborted();
        // What came while it looked belongs to the next look.
        const before = page.filter(({ topic, partition, offset }) => offset < (ends.get(topic)?.[partition] ?? 0));
        await this.#reconcile(before, now);
      }
    } else {
      for (const [topic, offsets] of ends) await this.#readOn(topic, offsets, now, givenUp);
    }
    this.#next = new Map([...ends].map(([topic, offsets]) => [topic, [...offsets]]));
    this.#countOld(now);
    return true;
  }

  async #recordReaches(ends: ReadonlyMap<string, readonly number[]>, givenUp?: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + this.#catchUpMs;
    for (;;) {
      const stored = await this.history.positions();
      if ([...notStored(ends, stored).values()].flat().every((missing) => missing === 0)) return true;
      if (performance.now() > deadline) return false;
      await sleep(100, undefined, givenUp === undefined ? {} : { signal: givenUp });
    }
  }

  async #readOn(topic: string, ends: readonly number[], now: number, givenUp?: AbortSignal): Promise<void> {
    for (const [partition, to] of ends.entries()) {
      const from = this.#next?.get(topic)?.[partition] ?? 0;
      if (from >= to) continue;
      for await (const page of this.history.partition({ topic, partition, from, to })) {
        givenUp?.throwIfAborted();
        await this.#reconcile(page, now);
      }
    }
  }

  /** Everything about the intents of these entries, as it stands now. */
  async #reconcile(entries: readonly HistoryEntry[], now: number): Promise<void> {
    const intentIds = [...new Set(entries.flatMap(({ intentId }) => intentId ?? []))];
    if (intentIds.length === 0) return;
    const known = intentIds.flatMap((id) => this.#crowded.get(id) ?? []);
    const unknown = intentIds.filter((id) => !this.#crowded.has(id));
    const gaps = [...known, ...(await this.#gapsOf(unknown, now))];
    // A gap counts once: with its own event, or when it has grown old while it was watched.
    const due = new Set(entries.map(placeOf));
    for (const intent of new Set([...entries, ...gaps].map(intentOf))) {
      for (const gap of this.#young.get(intent) ?? []) due.add(placeOf(gap));
      this.#young.delete(intent);
    }
    for (const gap of gaps) {
      if (!due.has(placeOf(gap))) continue;
      if (gap.ageMs >= this.#graceMs[gap.kind]) this.#count(gap);
      else this.#young.set(intentOf(gap), [...(this.#young.get(intentOf(gap)) ?? []), gap]);
    }
  }

  async #gapsOf(intentIds: readonly string[], now: number): Promise<readonly Gap[]> {
    if (intentIds.length === 0) return [];
    const about = await this.history.aboutIntents(intentIds);
    const gaps = gapsAbout(about, now);
    for (const [id, entries] of Map.groupBy(about, ({ intentId }) => intentId ?? '')) {
      if (entries.length < CROWD) continue;
      this.#crowded.set(
        id,
        gaps.filter(({ intentId }) => intentId === id),
      );
    }
    return gaps;
  }

  /** What was young at an earlier look and has not closed since. */
  #countOld(now: number): void {
    for (const [intent, gaps] of this.#young) {
      const isOld = (gap: Gap): boolean => now - gap.appendTime >= this.#graceMs[gap.kind];
      const young = gaps.filter((gap) => !isOld(gap));
      if (young.length === gaps.length) continue;
      gaps.filter(isOld).forEach((gap) => this.#count(gap));
      if (young.length > 0) this.#young.set(intent, young);
      else this.#young.delete(intent);
    }
    const oldest = Math.floor((now - this.#windowMs) / MINUTE_MS);
    for (const minute of this.#found.keys()) if (minute < oldest) this.#found.delete(minute);
  }

  #count({ kind, appendTime }: Gap): void {
    const minute = Math.floor(appendTime / MINUTE_MS);
    const counts = this.#found.get(minute) ?? noGaps();
    counts[kind] += 1;
    this.#found.set(minute, counts);
  }
}

function placeOf({ topic, partition, offset }: Pick<HistoryEntry, 'topic' | 'partition' | 'offset'>): string {
  return `${topic}\n${String(partition)}\n${String(offset)}`;
}
