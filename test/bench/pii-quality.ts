import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { detectPii, type JsonValue } from '#domain';
import { measurePiiQuality, readPiiCases, type Half } from '../cases/pii/pii-quality.js';

const HALVES: readonly Half[] = ['tuning', 'held-out'];

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, payloads: { type: 'string' } },
});
const { positives, traps } = readPiiCases(process.cwd());
const qualities = HALVES.map((half) => measurePiiQuality(half, positives[half], traps[half]));

if (options.json) {
  for (const quality of qualities) process.stdout.write(`${JSON.stringify(quality)}\n`);
} else {
  const table = new Table({
    head: ['half', 'positives', 'found', 'recall', 'traps', 'false alarms', 'precision'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const { half, positives: all, found, recall, traps: trapped, falseAlarms, precision } of qualities) {
    table.push([half, all, found, recall.toFixed(2), trapped, falseAlarms, precision.toFixed(2)]);
  }
  process.stdout.write(`${table.toString()}\n`);
  for (const { half, missed, alarmed } of qualities) {
    for (const { title, kinds } of missed) process.stdout.write(`${half}: missed ${kinds.join(', ')} in ${title}\n`);
    for (const { title, reported } of alarmed)
      process.stdout.write(`${half}: false ${reported.join(', ')} in ${title}\n`);
  }
}

type Parameters = Readonly<Record<string, JsonValue>>;

/** A JSON file, or a line of one, is the parameters of one action; of a recorded tool call, its `args`. */
function payloadsIn(folder: string): Parameters[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const parse = (text: string): Parameters => {
    const value = JSON.parse(text) as Parameters;
    return typeof value['args'] === 'object' && value['args'] !== null ? (value['args'] as Parameters) : value;
  };
  return files.sort().flatMap((file) => {
    if (file.endsWith('.json')) return [parse(readFileSync(join(folder, file), 'utf8'))];
    if (!file.endsWith('.jsonl')) return [];
    const lines = readFileSync(join(folder, file), 'utf8').split('\n');
    return lines.filter((line) => line.trim() !== '').map(parse);
  });
}

/** Of payloads that nobody has labelled: how many hold something, of which kind and where most often. */
function countPayloads(folder: string): void {
  const payloads = payloadsIn(folder);
  const places = new Map<string, number>();
  let flagged = 0;
  for (const payload of payloads) {
    const found = detectPii(payload);
    if (found.length > 0) flagged += 1;
    const distinct = new Set(found.map(({ kind, pointer }) => `${kind} ${pointer.replace(/\/\d+/g, '/#')}`));
    for (const place of distinct) places.set(place, (places.get(place) ?? 0) + 1);
  }
  process.stdout.write(`${String(flagged)} of ${String(payloads.length)} payloads hold personal data\n`);
  for (const [place, count] of [...places].sort(([, one], [, other]) => other - one).slice(0, 20)) {
    process.stdout.write(`${String(count).padStart(6)}  ${place}\n`);
  }
}

if (options.payloads !== undefined) countPayloads(options.payloads);
