/** Our segment as `apps/standalone` wires it, in a consumer group of its own, with or without audit beside it. */
import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { TOPICS } from '#contracts';
import { LAYERS } from '#domain';
import { PostgresHistory } from '#record';
import { createSegment, createViews, measureJudging, traceJudging } from '#segment';
import { ENGINE, VERSION } from '#service';
import { Metrics, Tracing } from '#telemetry';
import { ingest } from '../../../apps/audit/ingestion.js';
import { readOrder, type WorkerReport } from './order.js';

const order = readOrder();
const config = loadConfig();
const bus = new KafkaBus({ brokers: order.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
const views = createViews(bus);
await views.start();
const identity = { service: 'remit-bench', version: VERSION };
const tracing =
  order.collector === undefined
    ? undefined
    : new Tracing({ ...identity, endpoint: order.collector, sampling: { ratio: 0, keep: new Set() } });
const watches = [
  ...(tracing === undefined ? [] : [traceJudging(tracing, order.group)]),
  ...(order.measures === true ? [measureJudging(new Metrics(identity))] : []),
];
const segment = createSegment({ layers: LAYERS, engine: ENGINE, viewWaitMs: config.viewWaitMs, watches }, views);
const judging = await bus.consume({ group: order.group, topics: [TOPICS.agentActions.name] }, segment);

const history = order.audit ? await PostgresHistory.open(config.databaseUrl) : undefined;
const auditing =
  history &&
  (await bus.consume(
    { group: 'bench-audit', topics: [TOPICS.agentActions.name, TOPICS.agentDecisions.name] },
    (batch) => ingest(history, batch),
  ));

process.once('SIGTERM', () => {
  void Promise.all([judging.stop(), auditing?.stop()])
    .then(() => Promise.all([views.stop(), bus.close(), history?.close(), tracing?.shutdown()]))
    .finally(() => {
      const report: WorkerReport | undefined = tracing && { spans: tracing.counts() };
      if (report === undefined || process.send === undefined) process.exit(0);
      process.send(report, () => process.exit(0));
    });
});
