import type { Decision } from '../decision/decision.js';
import type { Intent, OutcomeReport } from '../intent/intent.js';
import { byAppendTime, placeKey, type AppendedAt } from './appended-at.js';

/** What a chain is made of, where it can be read. */
export type ReadableChainEvent = AppendedAt &
  (
    | { readonly kind: 'intent'; readonly intent: Intent; readonly actionDigest: string }
    /** What was appended as the re-evaluation of a held intent; `intentDigest`: over all of it. */
    | {
        readonly kind: 're-evaluation';
        readonly intent: Intent;
        readonly requestId: string;
        readonly intentDigest: string;
      }
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

/** Each event once, in the order of their appends. */
export function inOrder(events: readonly ChainEvent[]): ChainEvent[] {
  const byPlace = new Map(events.map((event) => [placeKey(event), event]));
  return [...byPlace.values()].sort(byAppendTime);
}
