import type { LoggerService } from '@nestjs/common';
import { messageOf, type BusLog } from '#bus';
import { onceAMinutePerCause } from '#telemetry';

/**
 * Writes what the bus reports. What comes again as long as its cause lasts, on every partition and many times a minute,
 * is told once a minute.
 */
export function busLog(log: Required<Pick<LoggerService, 'debug' | 'warn' | 'error'>>): BusLog {
  const tell: BusLog = ({ level, code, message, details: { error, ...details } = {} }) => {
    log[level]({ code, message, error, details });
  };
  const tellCause = onceAMinutePerCause(causeOf, tell);
  return (report) => {
    if (report.details?.['error'] === undefined) tell(report);
    else tellCause(report);
  };
}

function causeOf({ code, details }: Parameters<BusLog>[0]): string {
  const error = details?.['error'];
  return `${code} ${messageOf(error)}`;
}
