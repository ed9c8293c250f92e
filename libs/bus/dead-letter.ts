import { EVENTS, traceHeadersOf, writeEvent } from '#contracts';
import type { DeadLetter } from '#domain';
import type { BatchResult, MessageHeaders, OutgoingMessage, ReceivedMessage, Unreadable } from './bus.js';
import {
  recordBytes,
  recordSpaceOf,
  tooLarge,
  type Partitioner,
  type PreparedMessage,
  type TopicLimits,
} from './topic-limits.js';

/** Where dead letters go and who writes them. */
export interface DeadLetterOffice {
  readonly topic: string;
  /** The name in the letters: who could not read it. */
  readonly service: string;
}

/** A message nobody can read, whole: bytes and headers in base64, position, reason, and its trace context as it came. */
export function deadLetterOf(unreadable: Unreadable, office: DeadLetterOffice): OutgoingMessage {
  const { message } = unreadable;
  return letter(unreadable, office, {
    key: base64OrNull(message.key),
    value: base64OrNull(message.value),
    headers: headerPairs(message.headers),
  });
}

/** For a message so large that its letter would not fit: everything but the bytes, and where they are. */
function letterWithoutBytes(unreadable: Unreadable, office: DeadLetterOffice, bytes: number): OutgoingMessage {
  const reason = `${unreadable.reason} (not copied: the letter would take ${bytes} bytes; read it at its position while it is kept)`;
  return letter({ ...unreadable, reason }, office, { key: null, value: null, headers: [] });
}

function letter(
  { message, code, reason }: Unreadable,
  office: DeadLetterOffice,
  content: Pick<DeadLetter, 'key' | 'value' | 'headers'>,
): OutgoingMessage {
  const position = `${message.topic}/${message.partition}/${message.offset}`;
  const appendTime = new Date(message.appendTime).toISOString();
  const event = writeEvent(EVENTS.deadLetter, {
    id: position,
    source: `/remit/${office.service}`,
    subject: position,
    time: appendTime,
    data: {
      code,
      reason,
      service: office.service,
      topic: message.topic,
      partition: message.partition,
      offset: message.offset,
      appendTime,
      ...content,
    },
  });
  return {
    topic: office.topic,
    key: null,
    value: event.value,
    headers: { ...traceHeadersOf(message.headers), ...event.headers },
  };
}

function base64OrNull(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('base64');
}

function headerPairs(headers: MessageHeaders): [string, string][] {
  const pairs: [string, string][] = [];
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined) continue;
    if (Buffer.isBuffer(value)) pairs.push([name, value.toString('base64')]);
    else for (const one of value as readonly Buffer[]) pairs.push([name, one.toString('base64')]);
  }
  return pairs;
}

/** What the log is to take, and what of it are dead letters. */
export interface PreparedResult {
  readonly messages: PreparedMessage[];
  readonly parked: readonly Unreadable[];
}

/**
 * Turns what a handler returned into messages that the log will take: results, then dead letters. A result larger than
 * its topic allows becomes a dead letter of its source: nobody downstream could read it, and trying again will not help.
 */
export function prepareResult(
  result: BatchResult,
  office: DeadLetterOffice,
  limitsOfTopic: (topic: string) => TopicLimits,
  partitioner: Partitioner,
): PreparedResult {
  const prepared: PreparedMessage[] = [];
  const unreadable = [...result.unreadable];
  const parked = new Set<ReceivedMessage>();
  for (const message of result.publish) {
    const limits = limitsOfTopic(message.topic);
    const bytes = recordBytes(message);
    if (bytes <= recordSpaceOf(limits)) {
      prepared.push({
        topic: message.topic,
        partition: partitioner.choose(message, limits.partitions),
        bytes,
        message,
      });
    } else if (!parked.has(message.source)) {
      parked.add(message.source);
      const { code, message: reason } = tooLarge(message.topic, bytes, limits);
      unreadable.push({ message: message.source, code, reason: `its result cannot be sent: ${reason}`, givenUp: true });
    }
  }
  if (unreadable.length === 0) return { messages: prepared, parked: unreadable };
  const limits = limitsOfTopic(office.topic);
  for (const one of unreadable) {
    let message = deadLetterOf(one, office);
    let bytes = recordBytes(message);
    // a letter about a letter would hold it whole, and one about that again
    if (bytes > recordSpaceOf(limits) || one.message.topic === office.topic) {
      message = letterWithoutBytes(one, office, bytes);
      bytes = recordBytes(message);
    }
    prepared.push({ topic: office.topic, partition: partitioner.choose(message, limits.partitions), bytes, message });
  }
  return { messages: prepared, parked: unreadable };
}
