import type { Decision } from '../decision/decision.js';
import type { Intent, OutcomeReport } from '../intent/intent.js';

/** Where and when the record holds an event. `appendTime` is the broker's, ms since the epoch. */
export interface AppendedAt {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly appendTime: number;
}

/** What a chain is made of, where it can be read. */
export type ReadableChainEvent = AppendedAt &
  (
    | { readonly kind: 'intent'; readonly intent: Intent; readonly actionDigest: string }
    | { readonly kind: 'decision'; readonly decision: Decision }
    | { readonly kind: 'report'; readonly report: OutcomeReport }
  );

/** What an erasure leaves of an intent or a report: what it can be searched by. Decisions are never erased. */
export type ErasedChainEvent = AppendedAt & {
  readonly agentId: string;
  readonly intentId: string;
  readonly chainId: string;
} & (
    | { readonly kind: 'erased-intent'; readonly action: Pick<Intent['action'], 'type' | 'target'> }
    | { readonly kind: 'erased-report'; readonly status: OutcomeReport['status'] }
  );

/** What a chain is made of, as the record holds it. */
export type ChainEvent = ReadableChainEvent | ErasedChainEvent;

export function placeKey({ topic, partition, offset }: Omit<AppendedAt, 'appendTime'>): string {
  return `${topic}\n${partition}\n${offset}`;
}

export function placeOf({ topic, partition, offset, appendTime }: AppendedAt): AppendedAt {
  return { topic, partition, offset, appendTime };
}

export function byAppend(a: AppendedAt, b: AppendedAt): number {
  if (a.appendTime !== b.appendTime) return a.appendTime - b.appendTime;
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition || a.offset - b.offset;
}

/** Surely before: within one millisecond only a partition has an order. */
export function isBefore(a: AppendedAt, b: AppendedAt): boolean {
  if (a.appendTime !== b.appendTime) return a.appendTime < b.appendTime;
  return a.topic === b.topic && a.partition === b.partition && a.offset < b.offset;
}

/** Each event once, in the order of their appends. */
export function inOrder(events: readonly ChainEvent[]): ChainEvent[] {
  const byPlace = new Map(events.map((event) => [placeKey(event), event]));
  return [...byPlace.values()].sort(byAppend);
}
