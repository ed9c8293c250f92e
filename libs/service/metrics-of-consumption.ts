import type { BatchReport, Bus, ConsumeOptions, Consumption, ConsumptionWatch, ReaderName } from '#bus';
import { METRICS, reading, type Metrics, type Reading } from '#telemetry';

const PROCESSING = { 'messaging.system': 'kafka', 'messaging.operation.name': 'process' };
/** A scrape asks the brokers where the topics end, but no more often than this, ms. */
const LAG_FRESH_MS = 1000;

interface Member {
  readonly options: ConsumeOptions;
  readonly consumption: Consumption;
}

/** Measures what the consumer groups of this process do. */
export class ConsumptionMetrics implements ConsumptionWatch {
  readonly #members: Member[] = [];

  constructor(private readonly metrics: Metrics) {}

  joined(options: ConsumeOptions, consumption: Consumption): void {
    this.#members.push({ options, consumption });
    // there from the start: whoever watches them sees the first step
    this.metrics.counter(METRICS.readersRenewed).add(0, { 'remit.reader': options.group });
    for (const topic of options.topics) {
      const place = { 'messaging.destination.name': topic, 'messaging.consumer.group.name': options.group };
      this.metrics.counter(METRICS.givenUp).add(0, { 'error.type': 'REMIT_BUS_HANDLER_FAILED', ...place });
    }
  }

  worked({ group, topic, messages, ms, failed, parked }: BatchReport): void {
    const { metrics } = this;
    const place = { 'messaging.destination.name': topic, 'messaging.consumer.group.name': group };
    const work = { ...PROCESSING, ...place, ...(failed === undefined ? {} : { 'error.type': errorTypeOf(failed) }) };
    for (const { message, code, givenUp } of parked) {
      const from = { 'messaging.destination.name': message.topic };
      metrics.counter(METRICS.deadLetters).add(1, { 'error.type': errorTypeOf(code), ...from });
      if (givenUp === true) metrics.counter(METRICS.givenUp).add(1, { 'error.type': errorTypeOf(code), ...place });
    }
    if (messages === 0) return;
    metrics.counter(METRICS.consumedMessages).add(messages, work);
    metrics.histogram(METRICS.processDuration).record(ms / 1000, work);
    metrics.histogram(METRICS.batchSize).record(messages, place);
  }

  renewed({ group }: ReaderName): void {
    this.metrics.counter(METRICS.readersRenewed).add(1, { 'remit.reader': group });
  }

  observeStandstill(bus: Pick<Bus, 'standstills'>): void {
    this.metrics.observe('reader standstill', () => {
      const longest = new Map<string, number>();
      for (const { reader, ms } of bus.standstills())
        longest.set(reader.group, Math.max(ms, longest.get(reader.group) ?? 0));
      return [...longest].map(([name, ms]) => reading(METRICS.readerStandstill, ms / 1000, { 'remit.reader': name }));
    });
  }

  /** The lag is taken from where the brokers say the topics end: it rises also while a handler is stuck. */
  observeLag(bus: Pick<Bus, 'ends'>): void {
    this.metrics.observe('consumer lag', () => this.#standings(bus), LAG_FRESH_MS);
  }

  async #standings(bus: Pick<Bus, 'ends'>): Promise<readonly Reading[]> {
    const topics = [...new Set(this.#members.flatMap(({ options }) => options.topics))];
    if (topics.length === 0) return [];
    const positions = this.#members.map(({ options, consumption }) => ({ options, at: consumption.positions() }));
    const ends = await bus.ends(topics);
    const standings: Reading[] = [];
    for (const { options, at } of positions) {
      for (const [topic, partitions] of at) {
        for (const [partition, next] of partitions) {
          const lag = Math.max(0, (ends.get(topic)?.[partition] ?? 0) - next);
          const place = {
            'messaging.consumer.group.name': options.group,
            'messaging.destination.name': topic,
            'messaging.destination.partition.id': String(partition),
          };
          standings.push(reading(METRICS.consumerLag, lag, place), reading(METRICS.consumerOffset, next, place));
        }
      }
    }
    return standings;
  }
}

/** Codes of our own are few; whatever else an error calls itself says nothing that a metric could keep. */
function errorTypeOf(code: string): string {
  return /^REMIT_[A-Z_]+$/.test(code) ? code : '_OTHER';
}
