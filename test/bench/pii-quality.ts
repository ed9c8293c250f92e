import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { measurePiiQuality, readPiiCases, type Half } from '../cases/pii/pii-quality.js';

const HALVES: readonly Half[] = ['tuning', 'held-out'];

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
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
