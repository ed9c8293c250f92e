import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Batch, BatchResult, ReceivedMessage } from './bus.js';
import type { BusReport } from './errors.js';
import { Isolation, MAX_TRIES_OF_UNKNOWN, MAX_WAIT_FOR_PROOF_MS } from './isolation.js';

const POISON = new Set<number>();

function coded(code: string): Error {
  return Object.assign(new Error(`failed with ${code}`), { code });
}

describe('promise 9: what stops a partition', () => {
  let now: number;
  let reports: BusReport[];
  let failure: Error;
  let tries: number;
  let isolation: Isolation;

  beforeEach(() => {
    POISON.clear();
    now = 0;
    reports = [];
    failure = new TypeError('no such property');
    tries = 0;
    const handler = ({ messages }: Batch): Promise<BatchResult> => {
      tries += 1;
      if (messages.some(({ offset }) => POISON.has(offset))) return Promise.reject(failure);
      const publish = messages.map((source) => ({ topic: 'out', key: null, value: String(source.offset), source }));
      return Promise.resolve({ publish, unreadable: [] });
    };
    isolation = new Isolation(handler, { group: 'g', log: (report) => reports.push(report), now: () => now });
  });

  function batch(from: number, to: number, partition = 0): Batch {
    const messages = Array.from({ length: to - from }, (_, index): ReceivedMessage => {
      const place = { topic: 'in', partition, offset: from + index, appendTime: 1, logTime: 1 };
      return { ...place, key: null, value: null, headers: {} };
    });
    return { topic: 'in', partition, messages, readFrom: from, heartbeat: () => Promise.resolve() };
  }

  const offsetsOf = ({ publish }: BatchResult): number[] => publish.map(({ source }) => source.offset);
  const givenUp = ({ unreadable }: BatchResult): (readonly [number, string])[] =>
    unreadable.map(({ message, code }) => [message.offset, code] as const);

  async function failsTimes(times: number, messages: Batch): Promise<void> {
    for (let time = 0; time < times; time += 1) await expect(isolation.handle(messages)).rejects.toBe(failure);
  }

  it.each([
    'REMIT_EVENT_STORE_UNAVAILABLE',
    'REMIT_RECORD_UNAVAILABLE',
    'REMIT_RECORD_REFUSED',
    'REMIT_SEGMENT_VIEWS_BEHIND',
    'REMIT_BUS_PARTITION_LOST',
    'ECONNREFUSED',
    'ENOSPC',
  ])('%s may pass, so the batch waits however often it comes', async (code) => {
    failure = coded(code);
    POISON.add(3);
    await failsTimes(5 * MAX_TRIES_OF_UNKNOWN, batch(0, 8));
    expect(tries).toBe(5 * MAX_TRIES_OF_UNKNOWN);
    expect(reports).toEqual([]);
  });

  it.each(['REMIT_EVENT_STORE_INVALID_EVENT', 'REMIT_BUS_MESSAGE_TOO_LARGE'])(
    '%s never passes: the messages it is about are given up at once, and all others are worked off in order',
    async (code) => {
      failure = coded(code);
      for (const offset of [0, 3, 4, 7]) POISON.add(offset);
      const result = await isolation.handle(batch(0, 8));
      expect(offsetsOf(result)).toEqual([1, 2, 5, 6]);
      expect(givenUp(result)).toEqual([0, 3, 4, 7].map((offset) => [offset, code]));
      expect(result.unreadable.every((one) => one.givenUp === true)).toBe(true);
      expect(reports.map(({ message }) => message.slice(0, 20))).toEqual(
        [0, 3, 4, 7].map((offset) => `in/0/${String(offset)} was given up `),
      );
    },
  );

  it('an error that does not say is tried again, and then the one message is given up', async () => {
    POISON.add(5);
    await failsTimes(MAX_TRIES_OF_UNKNOWN - 1, batch(0, 8));
    const result = await isolation.handle(batch(0, 8));
    expect(offsetsOf(result)).toEqual([0, 1, 2, 3, 4, 6, 7]);
    expect(givenUp(result)).toEqual([[5, 'REMIT_BUS_HANDLER_FAILED']]);
  });

  it('while everything fails for a reason that nobody knows, no more than one message is given up', async () => {
    for (let offset = 0; offset < 100; offset += 1) POISON.add(offset);
    await failsTimes(MAX_TRIES_OF_UNKNOWN - 1, batch(0, 1));
    expect(givenUp(await isolation.handle(batch(0, 1)))).toHaveLength(1);
    await failsTimes(5 * MAX_TRIES_OF_UNKNOWN, batch(1, 50));
    await failsTimes(5 * MAX_TRIES_OF_UNKNOWN, batch(0, 50, 1));
    POISON.clear();
    expect(offsetsOf(await isolation.handle(batch(1, 50)))).toHaveLength(49);
  });

  it('two such messages behind each other are both given up once another partition goes on, or after a while', async () => {
    for (const offset of [0, 1, 2]) POISON.add(offset);
    await failsTimes(MAX_TRIES_OF_UNKNOWN - 1, batch(0, 1));
    await isolation.handle(batch(0, 1));
    await failsTimes(MAX_TRIES_OF_UNKNOWN, batch(1, 2));
    await isolation.handle(batch(50, 51, 1));
    expect(givenUp(await isolation.handle(batch(1, 2)))).toHaveLength(1);
    await failsTimes(MAX_TRIES_OF_UNKNOWN, batch(2, 3));
    now += MAX_WAIT_FOR_PROOF_MS;
    expect(givenUp(await isolation.handle(batch(2, 3)))).toHaveLength(1);
  });

  it('what is away while a batch is divided makes all of it come again', async () => {
    failure = coded('REMIT_EVENT_STORE_INVALID_EVENT');
    const away = coded('REMIT_EVENT_STORE_UNAVAILABLE');
    let calls = 0;
    const flaky = new Isolation(() => Promise.reject((calls += 1) === 1 ? failure : away), {
      group: 'g',
      log: (report) => reports.push(report),
    });
    await expect(flaky.handle(batch(0, 8))).rejects.toBe(away);
    expect(reports).toEqual([]);
  });

  it('the reason in a dead letter stays short and is whole text', async () => {
    failure = Object.assign(new Error('😀'.repeat(5000)), { code: 'REMIT_EVENT_STORE_INVALID_EVENT' });
    POISON.add(0);
    const [given] = (await isolation.handle(batch(0, 1))).unreadable;
    expect(given?.reason.length).toBeLessThan(1100);
    expect(given?.reason.isWellFormed()).toBe(true);
  });
});
