/** Where an event lies on the log. */
interface LogPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Where and when the record holds an event. `appendTime` is the broker's, ms since the epoch. */
export interface AppendedAt extends LogPlace {
  readonly appendTime: number;
}

/** As the key of a map. */
export function placeKey({ topic, partition, offset }: LogPlace): string {
  return `${topic}\n${partition}\n${offset}`;
}

/** As people read it. */
export function placeName({ topic, partition, offset }: LogPlace): string {
  return `${topic}/${String(partition)}/${String(offset)}`;
}

export function placeOf({ topic, partition, offset, appendTime }: AppendedAt): AppendedAt {
  return { topic, partition, offset, appendTime };
}

/** By topic (code point), partition and offset. */
export function byPosition(a: LogPlace, b: LogPlace): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1;
  return a.partition - b.partition || a.offset - b.offset;
}

/** The order of history: append time, then position. */
export function byAppendTime(a: AppendedAt, b: AppendedAt): number {
  return a.appendTime - b.appendTime || byPosition(a, b);
}

/** Surely before: within one millisecond only a partition has an order. */
export function isBefore(a: AppendedAt, b: AppendedAt): boolean {
  if (a.appendTime !== b.appendTime) return a.appendTime < b.appendTime;
  return a.topic === b.topic && a.partition === b.partition && a.offset < b.offset;
}
