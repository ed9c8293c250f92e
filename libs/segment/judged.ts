import type { Batch, OutgoingHeaders, ReceivedMessage } from '#bus';
import type { Charter, Decision, JudgedIntent, Layer, Verdict } from '#domain';

/** One layer's work on one intent. */
export interface JudgedLayer {
  readonly layer: Layer;
  readonly verdict: Verdict;
  /** Time that judging took, ms. */
  readonly ms: number;
}

/** One intent as a segment has judged it: what traces and metrics are made of. */
export interface Judged {
  readonly batch: Batch;
  readonly message: ReceivedMessage;
  /** With the verdicts of all layers so far. */
  readonly subject: JudgedIntent;
  /** The layers of this segment, in order. */
  readonly layers: readonly JudgedLayer[];
  /** The one in force for this intent; `undefined`: none was. */
  readonly charter: Charter | undefined;
  /** Present where the last layer has judged. */
  readonly decision: Decision | undefined;
  /** When this segment began with the intent, and when it had judged it, by this process's clock: ms since the epoch. */
  readonly began: number;
  readonly ended: number;
}

/** Is told of what a segment judges, and changes nothing of it. What it throws is reported, and stops no judgement. */
export interface JudgingWatch {
  /** The trace context that goes on with the result. `undefined`: the one that came, untouched. */
  judged(judged: Judged): OutgoingHeaders | undefined;
  /** The whole batch has been judged. */
  finished?(batch: Batch, judged: readonly Judged[]): void;
}
