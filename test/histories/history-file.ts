import { readFileSync, writeFileSync } from 'node:fs';
import type { RecordedMessage } from '#record';

/** A message as a line of the file: text as text, so that people can read what they keep. */
interface Line {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly appendTime: number;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string | null;
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('utf8');
}

function headersOf({ headers }: RecordedMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Buffer.concat([value].flat() as Buffer[]).toString('utf8')]),
  );
}

/** Keeps a history, one message a line, in the order of topic, partition and offset. */
export function writeHistory(file: string, messages: readonly RecordedMessage[]): void {
  const lines = messages.map((message): Line => {
    const { topic, partition, offset, appendTime, key, value } = message;
    const headers = headersOf(message);
    return { topic, partition, offset, appendTime, key: textOf(key), headers, value: textOf(value) };
  });
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** A history that was kept. */
export function readHistory(file: string): RecordedMessage[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((text) => {
      const { key, value, headers, ...place } = JSON.parse(text) as Line;
      return {
        ...place,
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        headers: Object.fromEntries(Object.entries(headers).map(([name, one]) => [name, Buffer.from(one)])),
      };
    });
}
