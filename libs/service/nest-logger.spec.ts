import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Log } from '#telemetry';
import { NestLogger } from './nest-logger.js';

let lines: Record<string, unknown>[];

function logAt(level: 'info' | 'debug' | 'trace'): void {
  const destination = { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) };
  Logger.overrideLogger(new NestLogger(new Log({ service: 'remit-policy', level, destination })));
}

describe('Nest’s own logger', () => {
  beforeEach(() => {
    lines = [];
    logAt('info');
  });
  afterEach(() => {
    Logger.overrideLogger(false);
  });

  it('writes to the log of the process, whoever made it and whenever', () => {
    new Logger('gaps').warn('the record is behind');
    Logger.log('routes are mapped', 'RoutesResolver');
    expect(lines).toMatchObject([
      { level: 'warn', service: 'remit-policy', scope: 'gaps', msg: 'the record is behind' },
      { level: 'info', scope: 'RoutesResolver', msg: 'routes are mapped' },
    ]);
  });

  it('writes each level by its word, and those that are off not at all', () => {
    const log = new Logger('x');
    const all = (): void => {
      for (const level of ['fatal', 'error', 'warn', 'log', 'debug', 'verbose'] as const) log[level](level);
    };
    all();
    logAt('trace');
    all();
    expect(lines.map(({ level }) => level)).toEqual([
      ...['fatal', 'error', 'warn', 'info'],
      ...['fatal', 'error', 'warn', 'info', 'debug', 'trace'],
    ]);
  });

  it('shows an error by type and message, and the stack that Nest adds only while debugging', () => {
    const error = new TypeError('no charter');
    const tell = (): void => {
      new Logger('ExceptionHandler').error(error);
      new Logger('door').error(error.message, error.stack);
      new Logger('door').error(error.stack);
    };
    tell();
    expect(JSON.stringify(lines)).not.toContain('.spec.ts');
    expect(lines).toMatchObject([
      { scope: 'ExceptionHandler', msg: 'no charter', error: { type: 'TypeError', message: 'no charter' } },
      { scope: 'door', msg: 'no charter' },
      { scope: 'door', msg: 'TypeError: no charter' },
    ]);
    lines = [];
    logAt('debug');
    tell();
    for (const line of lines) expect(JSON.stringify(line)).toContain('nest-logger.spec.ts');
  });

  it('takes a message with code, error and details', () => {
    new Logger('bus').warn({
      message: 'not a member any more',
      code: 'REMIT_BUS_PARTITION_LOST',
      error: new Error('rebalance'),
      details: { group: 'remit.boundary', note: 'agents wrote this' },
    });
    expect(lines).toMatchObject([
      {
        scope: 'bus',
        code: 'REMIT_BUS_PARTITION_LOST',
        msg: 'not a member any more',
        error: { type: 'Error', message: 'rebalance' },
        'messaging.consumer.group.name': 'remit.boundary',
        redacted: 1,
      },
    ]);
  });

  it('shows nothing of any other object, because nobody knows what is in it', () => {
    new Logger('x').log({ action: { parameters: { amount: 4711 } } });
    new Logger('x').log('with an object', { parameters: { amount: 4711 } });
    expect(JSON.stringify(lines)).not.toContain('4711');
    expect(lines).toHaveLength(2);
  });
});
