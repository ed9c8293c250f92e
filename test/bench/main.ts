import { parseArgs } from 'node:util';
import { loadConfig } from '#config';
import { measureCodec } from './codec.js';
import { figureTable, type Figure } from './figure.js';
import { measurePolicies } from './policies.js';
import { measureThroughput } from './throughput.js';

const progress = (line: string): void => void process.stderr.write(`${line}\n`);

/** What `npm run bench` measures, by the name `--only` takes. */
const GROUPS: Record<string, { about: string; measure: () => Promise<Figure[]> | Figure[] }> = {
  throughput: {
    about: 'decisions per second, beside a bare kafkajs loop and the stock Nest transport',
    measure: () => measureThroughput(loadConfig().kafkaBrokers, progress),
  },
  policies: { about: 'policies, beside a plain function for each', measure: measurePolicies },
  codec: { about: 'CloudEvents structured mode, beside binary mode', measure: measureCodec },
};

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const chosen = values.only?.split(',') ?? Object.keys(GROUPS);
for (const name of chosen) {
  const group = GROUPS[name];
  if (group === undefined) {
    process.stderr.write(`--only takes ${Object.keys(GROUPS).join(', ')}; not ${name}\n`);
    process.exitCode = 2;
    continue;
  }
  progress(`Measuring ${group.about} …`);
  const figures = await group.measure();
  if (values.json) for (const one of figures) process.stdout.write(`${JSON.stringify(one)}\n`);
  else process.stdout.write(`${group.about}\n${figureTable(figures)}\n\n`);
}
