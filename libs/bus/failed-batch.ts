import { spanContextOf } from '#telemetry';
import type { ReceivedMessage } from './bus.js';
import { codeOf, type BusReport } from './errors.js';

/** A batch whose messages come again. */
export interface FailedBatch {
  readonly group: string;
  readonly firstOffset: number;
  /** As far as they could be read. */
  readonly messages: readonly Pick<ReceivedMessage, 'headers'>[];
  readonly error: unknown;
  /** For people. */
  readonly message: string;
}

/** What is reported of it, with the place on the log and the trace at which it starts again. */
export function reportOfFailure({ group, firstOffset, messages, error, message }: FailedBatch): BusReport {
  const traceId = messages[0] && spanContextOf(messages[0].headers)?.traceId;
  return {
    level: 'error',
    code: codeOf(error) ?? 'REMIT_BUS_HANDLER_FAILED',
    message,
    details: { group, firstOffset, traceId, error },
  };
}
