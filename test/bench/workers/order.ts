import type { SpanCounts } from '#telemetry';
import { TOPICS, type TopicDeclaration } from '#contracts';

/** What a worker process is told, as JSON in its first argument. */
export interface WorkerOrder {
  readonly brokers: readonly string[];
  readonly group: string;
  readonly audit: boolean;
  readonly concurrency: number;
  /** The engine that decisions name. Baselines take it from here: they load nothing that repairs kafkajs. */
  readonly engine: string;
  /** Where spans go; left out: no tracing. */
  readonly collector?: string;
  /** Measures as the services do. */
  readonly measures?: boolean;
}

/** What a worker tells when it has ended. */
export interface WorkerReport {
  readonly spans: SpanCounts;
}

/** Where the baselines write, alike in every setting to the topic of decisions. */
export const BENCH_OUT: TopicDeclaration = { ...TOPICS.agentDecisions, name: 'bench.out' };

export const BENCH_CHARTER = 'test/bench/charter.yaml';

export function readOrder(): WorkerOrder {
  return JSON.parse(process.argv[2] ?? '{}') as WorkerOrder;
}
