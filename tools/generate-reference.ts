/**
 * Writes docs/reference and some files of deploy from the contracts: `node dist/tools/generate-reference.js`. With `--check` it writes nothing,
 * lists what is stale, missing or left over, and exits with 1 if there is any.
 */
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { TOPICS, type TopicDeclaration, asyncApiDocument, jsonSchemas, openApiDocument } from '#contracts';
import {
  ATTRIBUTES,
  METRICS,
  prometheusNameOf,
  SPAN_EVENTS,
  SPAN_KINDS,
  SPANS,
  type MetricDeclaration,
  type SpanDeclaration,
} from '#telemetry';
import { authoredSchemas } from './authored-schemas.js';
import { deployedFiles } from './deployed-files.js';

const REFERENCE = join(process.cwd(), 'docs', 'reference');
const FROM_REFERENCE = join('..', '..');
const DAY_MS = 24 * 60 * 60 * 1000;

function retentionOf(topic: TopicDeclaration): string {
  if (topic.compacted) return 'newest per key';
  return topic.retentionMs === null ? 'never expires' : `${topic.retentionMs / DAY_MS} days`;
}

function topicsPage(): string {
  const rows = Object.values<TopicDeclaration>(TOPICS).map((topic) =>
    [
      `\`${topic.name}\``,
      topic.keyedBy === 'none' ? '–' : topic.keyedBy,
      topic.carries,
      topic.writer,
      topic.partitions,
      `${topic.maxMessageBytes / 1024} KiB`,
      `${topic.maxBatchBytes / 1024} KiB`,
      retentionOf(topic),
    ].join(' | '),
  );
  return `# Topics

Generated from \`libs/contracts/topics.ts\`; messages and flows are in [asyncapi.json](asyncapi.json).

Every topic uses broker append time and is stored uncompressed. Partition counts are fixed for life. The partition is
murmur2 of the key, as Java's client and kafkajs choose it by default; librdkafka needs \`partitioner=murmur2_random\`.

A message is measured with its key and headers. Kafka's \`max.message.bytes\` is the largest *record batch*, which is what
a client sends at once for a partition; it is no less than what common clients send by default.

| topic | key | carries | written by | partitions | largest message | largest record batch | kept |
|---|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}
`;
}

/** A name with braces is a pattern, and `|` would end a cell. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}

function tracesPage(): string {
  const spans = Object.values<SpanDeclaration>(SPANS).map(({ name, kind, by, under, links, means }) => [
    `\`${name}\``,
    SPAN_KINDS[kind] ?? '',
    by,
    under,
    links === '' ? '–' : links,
    means,
  ]);
  const attributes = Object.values(ATTRIBUTES).map(({ name, type, from, means }) => [`\`${name}\``, type, from, means]);
  const events = Object.values(SPAN_EVENTS).map(({ name, means }) => [`\`${name}\``, means]);
  return `# Traces

Generated from \`libs/telemetry/span-table.ts\`. How to read and sample them: [traces](../guide/traces.md).

## Spans

${table(['span', 'kind', 'made by', 'under', 'linked to', 'means'], spans)}

## Attributes

The names of OpenTelemetry's messaging (Kafka) and GenAI conventions are in development there; Remit pins them here.

${table(['attribute', 'type', 'from', 'means'], attributes)}

## Events

${table(['event', 'means'], events)}
`;
}

function metricsPage(): string {
  const metrics = Object.values<MetricDeclaration>(METRICS);
  const rows = metrics.map((metric) => {
    const { name, instrument, unit, by, attributes, means } = metric;
    return [
      `\`${name}\``,
      `\`${prometheusNameOf(metric).sample}\``,
      instrument,
      `\`${unit}\``,
      by,
      attributes.length === 0 ? '–' : attributes.map((attribute) => `\`${attribute.name}\``).join(', '),
      means,
    ];
  });
  // the same name may have other values in another metric
  const uses = metrics.flatMap(({ name, attributes }) => attributes.map((attribute) => ({ metric: name, attribute })));
  const attributes = [...Map.groupBy(uses, ({ attribute }) => JSON.stringify(attribute)).values()];
  const values = attributes.map((alike) => {
    const [{ attribute }] = alike as [(typeof uses)[number]];
    const { name, from, values: all } = attribute;
    const listed = typeof all === 'string' ? all : all.map((one) => `\`${one}\``).join(', ');
    return [`\`${name}\``, from, listed, alike.map(({ metric }) => `\`${metric}\``).join(', ')];
  });
  return `# Metrics

Generated from \`libs/telemetry/metric-table.ts\`. How to scrape and read them: [metrics](../guide/metrics.md).

${table(['metric', 'in Prometheus', 'instrument', 'unit', 'told by', 'attributes', 'means'], rows)}

Histograms have \`_bucket\`, \`_sum\` and \`_count\` behind their name in Prometheus.

## Attributes

In Prometheus the dots are underscores. Nothing that an agent writes stands in an attribute unless the charter has that very
name or verb in it, so the number of series is bounded.

${table(['attribute', 'from', 'values', 'of'], values)}
`;
}

/** Every generated file by its path under docs/reference. */
async function reference(): Promise<Map<string, string>> {
  const files = new Map<string, string>([
    ['asyncapi.json', JSON.stringify(asyncApiDocument())],
    ['openapi.json', JSON.stringify(openApiDocument())],
    ['topics.md', topicsPage()],
    ['traces.md', tracesPage()],
    ['metrics.md', metricsPage()],
  ]);
  for (const [name, schema] of [...jsonSchemas(), ...authoredSchemas()])
    files.set(`schemas/${name}.schema.json`, JSON.stringify(schema));
  for (const [path, text] of files) {
    const filepath = join(REFERENCE, path);
    files.set(path, await format(text, { ...(await resolveConfig(filepath)), filepath }));
  }
  for (const [path, text] of deployedFiles()) files.set(join(FROM_REFERENCE, path), text);
  return files;
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Files that an earlier generation left behind. */
async function leftovers(wanted: ReadonlyMap<string, string>): Promise<string[]> {
  const found = await readdir(join(REFERENCE, 'schemas')).catch(() => []);
  return found.map((name) => `schemas/${name}`).filter((path) => !wanted.has(path));
}

const files = await reference();
const stale: string[] = [];
for (const [path, text] of files) {
  if ((await textOf(join(REFERENCE, path))) !== text) stale.push(path);
}
const unwanted = await leftovers(files);

if (process.argv.includes('--check')) {
  for (const path of stale) process.stdout.write(`stale: ${relative(process.cwd(), join(REFERENCE, path))}\n`);
  for (const path of unwanted) process.stdout.write(`left over: ${relative(process.cwd(), join(REFERENCE, path))}\n`);
  if (stale.length + unwanted.length > 0) {
    process.stdout.write(
      'Run the generator (node dist/tools/generate-reference.js) and commit docs/reference and deploy.\n',
    );
    process.exitCode = 1;
  }
} else {
  for (const path of stale) {
    const target = join(REFERENCE, path);
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, files.get(path) ?? '');
    process.stdout.write(`wrote ${relative(process.cwd(), target)}\n`);
  }
  for (const path of unwanted) await rm(join(REFERENCE, path));
}
