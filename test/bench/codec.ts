/**
 * What one intent costs in each CloudEvents mode: write it, encode a record batch with kafkajs, decode the batch, read
 * the event; and what our own encoding of requests saves. `node dist/test/bench/codec.js` prints a table, `--json`
 * one object per figure.
 */
import { createRequire } from 'node:module';
import '#bus';
import { type EventBytes, EVENTS, readEvent, writeEvent } from '#contracts';
import type { Intent } from '#domain';
import { type Figure, figure, figureTable, median } from './figure.js';

interface KafkaMessage {
  key: Buffer;
  value: Buffer;
  headers: Record<string, string>;
}

/** kafkajs's own record codec, which it does not export. */
const kafkajs = createRequire(import.meta.resolve('kafkajs'));
const Decoder = kafkajs('./src/protocol/decoder.js') as new (bytes: Buffer) => object;
const encodeRecord = kafkajs('./src/protocol/recordBatch/record/v0/index.js') as (
  record: KafkaMessage & { offsetDelta: number; timestampDelta: number },
) => object;
const { RecordBatch: encodeBatch } = kafkajs('./src/protocol/recordBatch/v0/index.js') as {
  RecordBatch: (batch: { records: object[]; lastOffsetDelta: number }) => Promise<{ buffer: Buffer }>;
};
const decodeBatch = kafkajs('./src/protocol/recordBatch/v0/decoder.js') as (
  decoder: object,
) => Promise<{ records: EventBytes[] }>;

interface ProduceRequest {
  readonly encode: () => Promise<{ buffer: Buffer }>;
}
const encodeStock = kafkajs('./src/protocol/requests/produce/v3/request.js') as (wanted: object) => ProduceRequest;
/** As the bus has repaired it. */
const produce = kafkajs('./src/protocol/requests/produce/index.js') as {
  protocol: (asked: { version: number }) => (wanted: object) => { request: ProduceRequest };
};
const encodeOurs = (wanted: object): ProduceRequest => produce.protocol({ version: 7 })(wanted).request;

const ROUNDS = 41;
const BATCH = 100;
const BATCHES_PER_ROUND = 10;
/** Until the compiler has settled. */
const WARM_UP_ROUNDS = 10;

const intent: Intent = {
  intentId: '0198a5a0-1111-7abc-8def-0123456789ab',
  agentId: 'cost-monitor',
  action: {
    type: 'read_costs',
    target: 'reporting',
    parameters: { month: '2026-10', accounts: ['platform', 'data', 'web'], limit: 100.5, groupBy: { tag: 'team' } },
    destination: 'warehouse',
    dataClassification: 'internal',
    containsPii: false,
  },
  onBehalfOf: 'alice@bank.example',
  trigger: { type: 'user_request', id: 'r-123', description: 'What did the cloud cost in October?' },
  precedingActions: ['list_accounts'],
  chainId: 'monthly report 2026-10',
};
const attributes = {
  id: intent.intentId,
  source: '/agents/cost-monitor',
  subject: intent.agentId,
  time: '2026-11-24T09:30:00.000Z',
};
const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
const key = Buffer.from(intent.agentId);

type Mode = 'structured' | 'binary';

const MODES: Readonly<Record<Mode, () => KafkaMessage>> = {
  structured: () => {
    const { value, headers } = writeEvent(EVENTS.intent, { ...attributes, data: intent });
    return { key, value: Buffer.from(value), headers: { ...headers, ...trace } };
  },
  binary: () => ({
    key,
    value: Buffer.from(JSON.stringify(intent)),
    headers: {
      'content-type': 'application/json',
      ce_specversion: '1.0',
      ce_id: attributes.id,
      ce_source: attributes.source,
      ce_type: EVENTS.intent.type,
      ce_subject: attributes.subject,
      ce_time: attributes.time,
      ...trace,
    },
  }),
};

interface Cost {
  /** CPU time per intent, µs. */
  readonly encode: number;
  readonly decode: number;
  /** On the log, per intent. */
  readonly bytes: number;
}

/** CPU time of this process so far, µs, garbage collection included. Unlike elapsed time, others cannot disturb it. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** One round of one mode. Throws when an intent does not come back. */
async function costOf(mode: Mode): Promise<Cost> {
  let encoding = 0;
  let decoding = 0;
  let bytes = 0;
  for (let batch = 0; batch < BATCHES_PER_ROUND; batch += 1) {
    const started = cpuTime();
    const records = Array.from({ length: BATCH }, (_, offsetDelta) =>
      encodeRecord({ ...MODES[mode](), offsetDelta, timestampDelta: 0 }),
    );
    const { buffer } = await encodeBatch({ records, lastOffsetDelta: BATCH - 1 });
    const encoded = cpuTime();
    const decoded = await decodeBatch(new Decoder(buffer));
    for (const record of decoded.records) {
      const reading = readEvent(EVENTS.intent, record);
      if (!reading.ok) throw new Error(`an intent in ${mode} mode does not come back: ${reading.reason}`);
    }
    encoding += encoded - started;
    decoding += cpuTime() - encoded;
    bytes += buffer.length;
  }
  const intents = BATCH * BATCHES_PER_ROUND;
  return { encode: encoding / intents, decode: decoding / intents, bytes: bytes / intents };
}

/** Per intent, medians of interleaved rounds. */
async function measureEncoding(): Promise<Figure> {
  const messages = Array.from({ length: BATCH }, MODES.structured);
  const topicData = [{ topic: 'agent.actions', partitions: [{ partition: 0, firstSequence: 0, messages }] }];
  const wanted = { acks: -1, timeout: 30_000, producerId: '1', producerEpoch: 0, topicData };
  const encodings = [encodeOurs, encodeStock].map((encoding) => ({ encoding, times: [] as number[] }));
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    for (const { encoding, times } of encodings) {
      const started = cpuTime();
      for (let batch = 0; batch < BATCHES_PER_ROUND; batch += 1) await encoding(wanted).encode();
      if (round >= 0) times.push((cpuTime() - started) / (BATCH * BATCHES_PER_ROUND));
    }
  }
  const [ours = 0, stock = 0] = encodings.map(({ times }) => median(times));
  return figure('a request to append, encode', ours, 'CPU µs', 'kafkajs’ own', stock);
}

/** Structured beside binary mode, per intent, and our encoding of requests beside kafkajs' own. */
export async function measureCodec(): Promise<Figure[]> {
  const rounds: Record<Mode, Cost[]> = { structured: [], binary: [] };
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) {
    await costOf('structured');
    await costOf('binary');
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    // Interleaved, and each mode first every other time, so that a busy machine disturbs both alike.
    const order: Mode[] = round % 2 === 0 ? ['structured', 'binary'] : ['binary', 'structured'];
    for (const mode of order) rounds[mode].push(await costOf(mode));
  }
  const compare = (name: string, unit: string, of: (cost: Cost) => number): Figure =>
    figure(
      `structured mode, ${name}`,
      median(rounds.structured.map(of)),
      unit,
      'binary mode',
      median(rounds.binary.map(of)),
    );
  return [
    compare('write and encode', 'CPU µs', (cost) => cost.encode),
    compare('decode and read', 'CPU µs', (cost) => cost.decode),
    compare('both', 'CPU µs', (cost) => cost.encode + cost.decode),
    compare('on the log', 'bytes', (cost) => cost.bytes),
    await measureEncoding(),
  ];
}

if (process.argv[1] === import.meta.filename) {
  const figures = await measureCodec();
  if (process.argv.includes('--json')) for (const one of figures) process.stdout.write(`${JSON.stringify(one)}\n`);
  else process.stdout.write(`${figureTable(figures)}\n`);
}
