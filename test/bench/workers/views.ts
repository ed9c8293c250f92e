import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { createViews, PermissionStateWriter, type Views } from '#segment';

/** Starts the views of a judging process and says what that cost: `views.js BROKERS WINDOW_MS end|cut`. */
const MIB = 1024 * 1024;
const [, , brokers = '', windowMs = '', then = ''] = process.argv;
const bus = new KafkaBus({ brokers: brokers.split(','), topics: Object.values(TOPICS) });
const views = createViews(bus, { authorityWindowMs: Number(windowMs) });
const began = performance.now();
await views.start();
const ms = performance.now() - began;
const resident = process.memoryUsage().rss;
globalThis.gc?.();
const { read, states } = views.permissions.size();
const start = { ms, read, states, heapMb: process.memoryUsage().heapUsed / MIB, residentMb: resident / MIB };
process.stdout.write(JSON.stringify(start));
if (then === 'cut') await writeCuts(views, Number(windowMs));
await views.stop();
await bus.close();

/** Cuts as the permission service writes them, once the window is over. */
async function writeCuts(read: Views, window: number): Promise<void> {
  const cutTime = Date.now();
  await sleep(window + 1_000);
  const writer = new PermissionStateWriter(bus, read.cuts() ?? new Map());
  for (let partition = 0; partition < TOPICS.permissionEvents.partitions; partition += 1) {
    const cut = read.permissions.cutAt(partition, cutTime);
    if (cut !== undefined) await writer.write(partition, cut);
  }
}
