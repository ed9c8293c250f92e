import { describe, expect, it } from '@jest/globals';
import { busLog } from './bus-log.js';

describe('what the bus reports', () => {
  const lines: unknown[] = [];
  const write = (line: unknown): void => void lines.push(line);
  const log = busLog({ debug: write, warn: write, error: write });

  it('is one line a minute for each cause, with its code and what it says, however many partitions wait', () => {
    const refused = Object.assign(new Error('PostgreSQL refused'), { code: 'REMIT_RECORD_REFUSED' });
    for (let partition = 0; partition < 12; partition += 1) {
      const message = `agent.actions/${String(partition)} waits 100 ms: ${refused.message}`;
      const details = { group: 'remit.audit', firstOffset: partition, error: refused };
      log({ level: 'error', code: refused.code, message, details });
    }
    const lost = new Error('no broker');
    log({ level: 'error', code: 'REMIT_BUS_HANDLER_FAILED', message: lost.message, details: { error: lost } });
    expect(lines).toMatchObject([
      { code: 'REMIT_RECORD_REFUSED', message: 'agent.actions/0 waits 100 ms: PostgreSQL refused', error: refused },
      { code: 'REMIT_BUS_HANDLER_FAILED', error: lost },
    ]);
  });

  it('is a line each time where it stands for one thing only', () => {
    lines.length = 0;
    for (const topic of ['a', 'b']) log({ level: 'warn', code: 'REMIT_BUS_UNREACHABLE', message: topic });
    expect(lines).toHaveLength(2);
  });
});
