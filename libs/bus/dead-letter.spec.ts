import { describe, expect, it } from '@jest/globals';
import { EVENTS, readEvent } from '#contracts';
import type { DeadLetter } from '#domain';
import type { OutgoingMessage, ReceivedMessage } from './bus.js';
import { prepareResult } from './dead-letter.js';
import { Partitioner, recordBytes, recordSpaceOf } from './topic-limits.js';

const OFFICE = { topic: 'dead', service: 'boundary' };
const LIMITS = { partitions: 1, maxBatchBytes: 10_000 };

function message(of: Partial<ReceivedMessage>): ReceivedMessage {
  return {
    topic: 'agent.actions',
    partition: 3,
    offset: 42,
    appendTime: 1_700_000_000_000,
    logTime: 1_700_000_000_000,
    key: Buffer.from('ledger-1'),
    value: Buffer.from('{'),
    headers: {},
    ...of,
  };
}

function lettersFor(source: ReceivedMessage): OutgoingMessage[] {
  const unreadable = [{ message: source, code: 'REMIT_EVENT_NOT_JSON', reason: 'the value is not JSON' }];
  const { messages: prepared } = prepareResult({ publish: [], unreadable }, OFFICE, () => LIMITS, new Partitioner());
  return prepared.map((one) => one.message);
}

function read(letter: OutgoingMessage | undefined): DeadLetter {
  const headers = { 'content-type': Buffer.from('application/cloudevents+json') };
  const reading = readEvent(EVENTS.deadLetter, { value: Buffer.from(String(letter?.value)), headers });
  if (!reading.ok) throw new Error(reading.reason);
  return reading.event.data;
}

describe('promise 9: a dead letter', () => {
  it('says who could not read what, where it lay, when it came and why', () => {
    const letter = read(lettersFor(message({ value: null }))[0]);
    expect(letter).toEqual({
      code: 'REMIT_EVENT_NOT_JSON',
      reason: 'the value is not JSON',
      service: 'boundary',
      topic: 'agent.actions',
      partition: 3,
      offset: 42,
      appendTime: '2023-11-14T22:13:20.000Z',
      key: Buffer.from('ledger-1').toString('base64'),
      value: null,
      headers: [],
    });
  });

  it('of a message too large to be copied names its position, and fits', () => {
    const [letter] = lettersFor(message({ value: Buffer.alloc(9_000) }));
    expect(recordBytes(letter as OutgoingMessage)).toBeLessThanOrEqual(recordSpaceOf(LIMITS));
    const { value, offset, reason, code } = read(letter);
    expect([value, offset, code]).toEqual([null, 42, 'REMIT_EVENT_NOT_JSON']);
    expect(reason).toContain('read it at its position');
  });

  it('is written once for a message with several results that are too large, and the others are sent', () => {
    const [large, small] = [message({ offset: 1 }), message({ offset: 2 })];
    const result = (source: ReceivedMessage, size: number) => ({
      topic: 'out',
      key: 'a',
      value: 'x'.repeat(size),
      source,
    });
    const { messages: prepared, parked } = prepareResult(
      { publish: [result(large, 20_000), result(large, 20_000), result(small, 10)], unreadable: [] },
      OFFICE,
      () => LIMITS,
      new Partitioner(),
    );
    expect(prepared.map(({ topic }) => topic)).toEqual(['out', 'dead']);
    expect(parked.map(({ message: { offset } }) => offset)).toEqual([1]);
    expect(read(prepared[1]?.message)).toMatchObject({ code: 'REMIT_BUS_MESSAGE_TOO_LARGE', offset: 1 });
  });
});
