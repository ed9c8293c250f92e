/** Our segment as `apps/standalone` wires it, in a consumer group of its own, with or without audit beside it. */
import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import { TOPICS } from '#contracts';
import { LAYERS } from '#domain';
import { PostgresHistory } from '#record';
import { createSegment, createViews } from '#segment';
import { ENGINE } from '#service';
import { ingest } from '../../../apps/audit/ingestion.js';
import { readOrder } from './order.js';

const order = readOrder();
const config = loadConfig();
const bus = new KafkaBus({ brokers: order.brokers, topics: Object.values(TOPICS), replicationFactor: 1 });
const views = createViews(bus);
await views.start();
const segment = createSegment({ layers: LAYERS, engine: ENGINE, viewWaitMs: config.viewWaitMs }, views);
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
    .then(() => Promise.all([views.stop(), bus.close(), history?.close()]))
    .finally(() => process.exit(0));
});
