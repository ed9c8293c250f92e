import type { LoggerService } from '@nestjs/common';
import type { Log, LogEntry, LogLevel } from '#telemetry';

/**
 * The log of a process in Nest's hands: `new Logger('scope')` anywhere writes to it. A message is a text, an error, or
 * `{ message, code, error, details }`; of other objects nothing is shown but that they were there.
 */
export class NestLogger implements LoggerService {
  constructor(private readonly to: Log) {}

  fatal(message: unknown, ...rest: unknown[]): void {
    this.#write('fatal', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.#write('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.#write('warn', message, rest);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.#write('info', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.#write('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.#write('trace', message, rest);
  }

  #write(level: LogLevel, message: unknown, rest: readonly unknown[]): void {
    if (!this.to.isOn(level)) return;
    // Nest puts the scope last, and after an error's text its stack or nothing
    const last = rest.at(-1);
    const scope = typeof last === 'string' && !isStack(last) ? last : undefined;
    const stack = rest.find(isStack);
    const error = rest.find((one) => one instanceof Error);
    const entry = entryOf(message);
    this.to.write(level, {
      ...entry,
      message:
        stack === undefined || entry.error !== undefined ? entry.message : `${entry.message}\n${framesOf(stack)}`,
      scope,
      ...(error === undefined ? {} : { error }),
    });
  }
}

const FRAME = /^ {4}at /m;

function isStack(one: unknown): one is string {
  return typeof one === 'string' && FRAME.test(one);
}

function framesOf(stack: string): string {
  return stack.slice(stack.search(FRAME));
}

function entryOf(message: unknown): LogEntry {
  if (typeof message === 'string') return { message };
  if (message instanceof Error) return { message: message.message, error: message };
  if (typeof message !== 'object' || message === null) return { message: String(message) };
  const { message: text, code, error, details } = message as Readonly<Record<string, unknown>>;
  if (typeof text !== 'string') return { message: 'an object', details: { ...message } };
  return {
    message: text,
    ...(typeof code === 'string' ? { code } : {}),
    ...(error === undefined ? {} : { error }),
    ...(typeof details === 'object' && details !== null ? { details: { ...details } } : {}),
  };
}
