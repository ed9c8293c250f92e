import { TOPICS } from '#contracts';
import { placeKey, Reconciliation, type Gap } from '#domain';
import { chainEventOf } from './chain-events.js';
import type { HistoryReading, HistoryStream, Position } from './history.js';

/** The topics whose events must add up. */
export const RECONCILED_TOPICS = [
  TOPICS.agentActions.name,
  TOPICS.agentDecisions.name,
  TOPICS.agentOutcomes.name,
] as const;

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

/** Every gap of a stretch of the record, in append order, page by page. `now` as in {@link GapLookUp}. */
export async function* recordedGaps(
  history: HistoryReading,
  selection: Omit<HistoryStream, 'topics'>,
  now: number,
): AsyncGenerator<readonly Gap[]> {
  const lookUp = new GapLookUp(history, now);
  for await (const page of history.stream({ ...selection, topics: RECONCILED_TOPICS })) yield await lookUp.at(page);
}
