import { parseArgs } from 'node:util';
import { loadConfig } from '#config';
import { measureCodec } from './codec.js';
import { measurePiiQuality, readPiiCases } from '../cases/pii/pii-quality.js';
import { measureFirstLook } from './first-look.js';
import { figure, figureTable, type Figure } from './figure.js';
import { measureGrants } from './grants.js';
import { measurePolicies } from './policies.js';
import { measureReplay } from './replay.js';
import { measureRecord, measureRecordGrowth } from './record.js';
import { measureSigning } from './signing.js';
import { measureThroughput } from './throughput.js';
import { measureTracing } from './tracing.js';
import { measureViews } from './views.js';

const progress = (line: string): void => void process.stderr.write(`${line}\n`);

/** `node dist/test/bench/pii-quality.js` lists what was missed and what was a false alarm. */
function piiQuality(): Figure[] {
  const { positives, traps } = readPiiCases(process.cwd());
  const [tuning, heldOut] = (['tuning', 'held-out'] as const).map((half) =>
    measurePiiQuality(half, positives[half], traps[half]),
  );
  if (tuning === undefined || heldOut === undefined) throw new Error('no labelled cases');
  return (['recall', 'precision'] as const).map((measure) =>
    figure(`${measure}, held-out half`, heldOut[measure], 'share', 'tuning half', tuning[measure]),
  );
}

/** What `npm run bench` measures, by the name `--only` takes. */
const GROUPS: Record<string, { about: string; measure: () => Promise<Figure[]> | Figure[] }> = {
  throughput: {
    about: 'decisions per second, beside a bare kafkajs loop and the stock Nest transport',
    measure: () => measureThroughput(loadConfig().kafkaBrokers, progress),
  },
  tracing: {
    about: 'decisions per second with tracing and metrics, beside none of them',
    measure: () => measureTracing(loadConfig().kafkaBrokers, progress),
  },
  pii: { about: 'personal data: recall and precision on labelled cases', measure: piiQuality },
  record: {
    about: 'the record, beside PostgreSQL’s COPY and plain SHA-256',
    measure: () => measureRecord(loadConfig().databaseUrl, progress),
  },
  'record-growth': {
    about: 'the record as it grows, beside itself when it was small',
    measure: () => measureRecordGrowth(loadConfig().databaseUrl, progress),
  },
  signing: { about: 'signatures of messages, beside writing and reading them unsigned', measure: measureSigning },
  policies: { about: 'policies, beside a plain function for each', measure: measurePolicies },
  grants: {
    about: 'temporary permissions, beside standing ones',
    measure: () => measureGrants(loadConfig().databaseUrl),
  },
  replay: {
    about: 'replay of recorded decisions, beside the live pipeline that made them',
    measure: () => measureReplay(loadConfig(), progress),
  },
  views: {
    about: 'a start of the views after a long history, beside one without any',
    measure: () => measureViews(loadConfig().kafkaBrokers, progress),
  },
  'first-look': {
    about: 'the first look of the watch for discrepancies at a day, and decisions beside it',
    measure: () => measureFirstLook(loadConfig().databaseUrl, progress),
  },
  codec: {
    about: 'CloudEvents structured mode beside binary mode; our encoding of requests beside kafkajs’ own',
    measure: measureCodec,
  },
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
