import type { Classification, Classifications } from '../charter/systems.js';

/** What an agent claims of its data, where it is stricter than the charter's word. */
export interface ClaimedClassification extends Classification {
  /** The claim named no classification of the charter, so the strictest counts. */
  readonly unknown?: true;
}

/** The classification an agent claims; undefined when it claims none, or one no stricter than the charter's word. */
export function claimedClassification(
  classifications: Classifications,
  entry: Classification,
  claim: string | null | undefined,
): ClaimedClassification | undefined {
  if (claim === null || claim === undefined) return undefined;
  const claimed = classifications.byName.get(claim);
  if (claimed === undefined) return { ...classifications.strictest, unknown: true };
  return claimed.rank > entry.rank ? claimed : undefined;
}
