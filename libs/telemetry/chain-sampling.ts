import { hash } from 'node:crypto';
import { TraceFlags, type SpanContext } from '@opentelemetry/api';
import { chainIdOf, type Intent, type Outcome } from '#domain';
import { saysUnsampled, spanContextOf } from './trace-context.js';

/** Which chains are traced. */
export interface SamplingTerms {
  /** Share of the chains whose agents say nothing of traces, 0 to 1. Where an agent does, its word counts. */
  readonly ratio: number;
  /** Intents with these outcomes are traced whatever was sampled, from where the outcome is known. */
  readonly keep: ReadonlySet<Outcome>;
}

/** Where a span belongs: under another one, or first in a trace, and then by which ids. */
export type TracePlace = { readonly parent: SpanContext } | { readonly traceId: string; readonly spanId: string };

/** What of an intent decides on its trace. */
export type TracedIntent = Pick<Intent, 'agentId' | 'intentId' | 'chainId'>;

const RANDOM_HEX_DIGITS = 14;
const RANDOM_VALUES = 2 ** 56;

/**
 * The trace of a chain whose agents carry none: the same for every process and at any time. Its last 56 bits are as
 * good as random, which is what ratio samplers go by (W3C Trace Context, level 2).
 */
export function traceIdOfChain(chainId: string): string {
  return hash('sha256', `remit chain\n${chainId}`).slice(0, 32);
}

/** The first span of an intent whose agent carries no trace: known to whoever has to link to it later. */
function spanIdOfIntent({ agentId, intentId }: TracedIntent): string {
  return hash('sha256', `remit intent\n${agentId}\n${intentId}`).slice(0, 16);
}

/** The span in whose place something is, as others link to it. */
export function spanAt(place: TracePlace): SpanContext {
  return 'parent' in place ? place.parent : { ...place, traceFlags: TraceFlags.SAMPLED };
}

/**
 * Where the span of an intent belongs; `undefined`: the intent is not traced. An agent that traces decides for its
 * chain (parent-based); else the chain's own id does, so that all its intents are traced, or none. `outcome`: as far
 * as it is known in this process.
 */
export function tracePlaceOf(
  headers: Readonly<Record<string, Uint8Array | string | readonly Uint8Array[]>>,
  intent: TracedIntent,
  outcome: Outcome | undefined,
  { ratio, keep }: SamplingTerms,
): TracePlace | undefined {
  const isKept = outcome !== undefined && keep.has(outcome);
  // one byte says so of almost everything that is sampled out
  if (!isKept && saysUnsampled(headers['traceparent'])) return undefined;
  const parent = spanContextOf(headers);
  if (parent !== undefined) return isKept || isSampled(parent) ? { parent } : undefined;
  if (ratio === 0 && !isKept) return undefined;
  const traceId = traceIdOfChain(chainIdOf(intent));
  const share = Number.parseInt(traceId.slice(-RANDOM_HEX_DIGITS), 16) / RANDOM_VALUES;
  return isKept || share < ratio ? { traceId, spanId: spanIdOfIntent(intent) } : undefined;
}

function isSampled({ traceFlags }: SpanContext): boolean {
  return (traceFlags & TraceFlags.SAMPLED) !== 0;
}
