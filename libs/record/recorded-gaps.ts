import { placeKey, Reconciliation, type Gap, type OutlinedEvent } from '#domain';
import { chainEventOf } from './chain-events.js';
import type { HistoryReading, HistoryStream, Outlines, Position } from './history.js';
import { RECONCILED_TOPICS } from './reconciled-topics.js';

/** More entries about one intent than an honest agent causes. */
const CROWD = 64;

/** Where an event lies and what it is about: an entry, or a gap. */
export type AboutIntent = Position & { readonly intentId: string | null };

type GapsByPlace = ReadonlyMap<string, readonly Gap[]>;

/** Finds gaps as they stand at one moment. `now`: up to when the record is complete, ms since the epoch. */
export class GapLookUp {
  /**
   * The gaps of ids that are used so often that they are on many pages: everything about them is read once, not for
   * each of these pages.
   */
  readonly #crowded = new Map<string, GapsByPlace>();

  constructor(
    private readonly history: Pick<HistoryReading, 'aboutIntents'>,
    private readonly now: number,
  ) {}

  /** The gaps whose event lies at one of these places, in the order of these, looked up in all of the record. */
  async at(places: readonly AboutIntent[]): Promise<readonly Gap[]> {
    const intentIds = [...new Set(places.flatMap(({ intentId }) => intentId ?? []))];
    const gaps = await this.#gapsOf(intentIds.filter((id) => !this.#crowded.has(id)));
    const wanted = new Map(places.map((place) => [placeKey(place), place.intentId]));
    return [...wanted].flatMap(([place, id]) => (this.#crowded.get(id ?? '') ?? gaps).get(place) ?? []);
  }

  async #gapsOf(intentIds: readonly string[]): Promise<GapsByPlace> {
    if (intentIds.length === 0) return new Map();
    const reconciliation = new Reconciliation();
    const entries = new Map<string, number>();
    await this.history.aboutIntents(intentIds, (page) => {
      for (const entry of page) {
        entries.set(entry.intentId ?? '', (entries.get(entry.intentId ?? '') ?? 0) + 1);
        const event = chainEventOf(entry);
        if (event !== undefined) reconciliation.add(event);
      }
    });
    const gaps = reconciliation.gaps(this.now);
    const byIntent = Map.groupBy(gaps, ({ intentId }) => intentId);
    for (const [id, count] of entries) {
      if (count >= CROWD) this.#crowded.set(id, Map.groupBy(byIntent.get(id) ?? [], placeKey));
    }
    return Map.groupBy(gaps, placeKey);
  }
}

/** Places with a gap, as far as outlines tell, and intents of which they do not tell everything. */
interface Suspected {
  readonly places: ReadonlySet<string>;
  readonly intentIds: ReadonlySet<string>;
}

/**
 * Finds gaps as they stand at one moment, and opens no more than it must: what adds up by search columns and outlines
 * alone is left alone. What does not, or has no outline, is opened and told by what it says itself. `now` as in
 * {@link GapLookUp}.
 */
export class OutlinedGapLookUp {
  readonly #opening: GapLookUp;
  readonly #crowded = new Map<string, Suspected>();

  constructor(
    private readonly history: Pick<HistoryReading, 'aboutIntents'> & Pick<Outlines, 'outlinesAbout'>,
    private readonly now: number,
  ) {
    this.#opening = new GapLookUp(history, now);
  }

  /** As {@link GapLookUp.at}. */
  async at(places: readonly AboutIntent[]): Promise<readonly Gap[]> {
    const intentIds = [...new Set(places.flatMap(({ intentId }) => intentId ?? []))];
    const found = await this.#suspected(intentIds.filter((id) => !this.#crowded.has(id)));
    const suspects = places.filter((place) => {
      const suspected = this.#crowded.get(place.intentId ?? '') ?? found;
      return suspected.intentIds.has(place.intentId ?? '') || suspected.places.has(placeKey(place));
    });
    return suspects.length === 0 ? [] : this.#opening.at(suspects);
  }

  async #suspected(intentIds: readonly string[]): Promise<Suspected> {
    if (intentIds.length === 0) return { places: new Set(), intentIds: new Set() };
    const reconciliation = new Reconciliation();
    const entries = new Map<string, number>();
    const untold = new Set<string>();
    await this.history.outlinesAbout(intentIds, (page) => {
      for (const entry of page) {
        const id = entry.intentId ?? '';
        entries.set(id, (entries.get(id) ?? 0) + 1);
        if (entry.outline === undefined) untold.add(id);
        else reconciliation.addOutlined(entry as OutlinedEvent);
      }
    });
    const gaps = reconciliation.gaps(this.now);
    const suspected = { places: new Set(gaps.map(placeKey)), intentIds: untold };
    for (const [id, count] of entries) {
      if (count < CROWD) continue;
      const places = gaps.filter(({ intentId }) => intentId === id).map(placeKey);
      this.#crowded.set(id, { places: new Set(places), intentIds: new Set(untold.has(id) ? [id] : []) });
    }
    return suspected;
  }
}

/** Every gap of a stretch of the record, in append order, page by page. `now` as in {@link GapLookUp}. */
export async function* recordedGaps(
  history: HistoryReading,
  selection: Omit<HistoryStream, 'topics'>,
  now: number,
): AsyncGenerator<readonly Gap[]> {
  const lookUp = new GapLookUp(history, now);
  for await (const page of history.stream({ ...selection, topics: RECONCILED_TOPICS })) yield await lookUp.at(page);
}
