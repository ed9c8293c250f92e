/** Every error of the bus. Recognise them by code; the message says what to do. */
export type BusErrorCode =
  | 'REMIT_BUS_TOPIC_DIFFERS'
  | 'REMIT_BUS_TOPIC_MISSING'
  | 'REMIT_BUS_NOT_APPEND_TIME'
  | 'REMIT_BUS_MESSAGE_TOO_LARGE'
  | 'REMIT_BUS_PUBLISH_FAILED'
  | 'REMIT_BUS_PARTITION_LOST'
  /** Somebody must acknowledge a discrepancy between the log and its readers first. */
  | 'REMIT_BUS_HELD'
  | 'REMIT_BUS_UNREACHABLE'
  | 'REMIT_BUS_CREDENTIALS_UNREADABLE'
  | 'REMIT_BUS_NOT_AUTHENTICATED'
  | 'REMIT_BUS_NOT_ALLOWED'
  | 'REMIT_BUS_NO_TOKEN'
  | 'REMIT_BUS_HANDLER_FAILED'
  | 'REMIT_BUS_HANDLER_TWICE'
  | 'REMIT_BUS_STANDSTILL'
  | 'REMIT_BUS_TOO_FEW_BROKERS'
  | 'REMIT_BUS_CLIENT'
  | 'REMIT_BUS_CLOSED';

export class BusError extends Error {
  constructor(
    readonly code: BusErrorCode,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'BusError';
  }
}

/** The code of any error that carries one. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What the bus reports while it keeps working. */
export interface BusReport {
  readonly level: 'debug' | 'warn' | 'error';
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export type BusLog = (report: BusReport) => void;
