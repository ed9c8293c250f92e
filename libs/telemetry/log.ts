import { context, trace } from '@opentelemetry/api';
import { pino, type Logger } from 'pino';
import { scrub, shownFields, TRACE_ID_FIELD } from './log-redaction.js';
import { standardOutput, type LogDestination } from './log-destination.js';

/** Least serious last. */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

export interface LogEntry {
  readonly message: string;
  /** Which part of the process says so. */
  readonly scope?: string | undefined;
  /** `REMIT_…`; without one, the code of the error, or the one that the message begins with. */
  readonly code?: string | undefined;
  readonly error?: unknown;
  /** The error's stack is shown at every level of logging; only while debugging by default. */
  readonly showsStack?: boolean | undefined;
  /** Only what `LOG_FIELDS` names is shown. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export interface LogOptions {
  /** `service.name`, as in traces. */
  readonly service: string;
  readonly level: LogLevel;
  /** Values that must never be printed, wherever they turn up. Those shorter than 8 characters are ignored. */
  readonly secrets?: readonly string[];
  /** Standard output by default. */
  readonly destination?: LogDestination;
}

const LEAST_SECRET = 8;

/** The log of one process: a JSON object a line, without secrets and without what agents wrote. */
export class Log {
  readonly #pino: Logger;
  readonly #secrets: readonly string[];

  constructor({ service, level, secrets = [], destination = standardOutput() }: LogOptions) {
    this.#secrets = secrets.filter((secret) => secret.length >= LEAST_SECRET);
    this.#pino = pino(
      {
        level,
        base: { service },
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        mixin: activeSpan,
      },
      destination,
    );
  }

  isOn(level: LogLevel): boolean {
    return this.#pino.isLevelEnabled(level);
  }

  /** Prints an entry before it returns; an entry of a level that is off is not even looked at. Never throws. */
  write(level: LogLevel, entry: LogEntry): void {
    if (!this.isOn(level)) return;
    try {
      this.#write(level, entry);
    } catch {
      // an error whose own properties throw: that something happened must be told all the same
      this.#pino[level]({ code: 'REMIT_LOG_ENTRY_UNREADABLE' }, 'an entry of the log could not be read');
    }
  }

  #write(level: LogLevel, { message, scope, code, error, showsStack = false, details }: LogEntry): void {
    const [text, frames] = splitStack(message);
    const found = code ?? codeOf(error) ?? CODE_FIRST.exec(text)?.[0];
    this.#pino[level](
      {
        ...(scope === undefined ? {} : { scope: this.#clean(scope) }),
        ...(found !== undefined && CODE.test(found) ? { code: found } : {}),
        ...(details === undefined ? {} : shownFields(details, this.#clean)),
        ...(error === undefined ? {} : { error: this.#errorFields(error, showsStack || this.isOn('debug')) }),
        ...(frames !== '' && error === undefined && this.isOn('debug') ? { stack: this.#framesIn(frames) } : {}),
      },
      this.#clean(text),
    );
  }

  #errorFields(error: unknown, showsStack: boolean): Record<string, string> {
    const code = codeOf(error);
    const message = messageOf(error);
    const stack = error instanceof Error && showsStack ? this.#framesIn(stackOf(error)) : '';
    return {
      type: typeOf(error),
      ...(code !== undefined && CODE.test(code) ? { code } : {}),
      message: this.#clean(message),
      ...(stack === '' ? {} : { stack }),
    };
  }

  readonly #clean = (text: string): string => scrub(text, this.#secrets);

  /** Only lines that are frames: a message may be quoted among them. */
  #framesIn(stack: string): string {
    const frames = stack.split('\n').filter((line) => IS_FRAME.test(line));
    return frames.map((frame) => this.#clean(frame.trim())).join('\n');
  }
}

/** A code of ours, of Node or another library, or an SQLSTATE. */
const CODE = /^(?:E[A-Z0-9]{2,20}|[A-Z]{2,12}(?:_[A-Z0-9]{1,30}){1,8}|[0-9A-Z]{5})$/;
const CODE_FIRST = /^REMIT_[A-Z0-9_]{1,58}(?=: )/;
const FRAME = '\n    at ';
const IS_FRAME =
  /^ {4}at (?:(?:async |new )?[\w$.#<>[\] ]{1,200} \()?(?:file:|node:|\/)[^\s()]{1,400}:\d{1,7}:\d{1,7}\)?$/;
const TYPE = /^[A-Za-z_$][\w$]{0,63}$/;

/** Whoever logs `error.stack` means the error: its frames are for debugging only. */
function splitStack(text: string): [message: string, frames: string] {
  const start = text.indexOf(FRAME);
  return start === -1 ? [text, ''] : [text.slice(0, start), text.slice(start)];
}

/** The stack without the message at its head; nothing where the two do not go together. */
function stackOf({ stack = '', message }: Error): string {
  const start = stack.indexOf(message);
  return start === -1 ? '' : stack.slice(start + message.length);
}

function activeSpan(): object {
  const span = trace.getSpanContext(context.active());
  return span === undefined ? {} : { [TRACE_ID_FIELD]: span.traceId, span_id: span.spanId };
}

function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  return TYPE.test(error.name) ? error.name : 'Error';
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '' && error.errors.length > 0) {
    return messageOf(error.errors[0]);
  }
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : `a thrown ${typeof error}`;
}
