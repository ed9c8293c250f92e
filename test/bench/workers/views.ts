import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { createViews } from '#segment';

/** Starts the views of a judging process and says what that cost: `views.js BROKERS WINDOW_MS`. */
const MIB = 1024 * 1024;
const [, , brokers = '', windowMs = ''] = process.argv;
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
await views.stop();
await bus.close();
