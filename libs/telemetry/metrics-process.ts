import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import { METRICS } from './metric-table.js';
import { reading, type Metrics } from './metrics.js';

const NANOSECONDS = 1e9;

/** How this thread of the process is: its event loop and its heap. */
export function observeProcess(metrics: Metrics, thread: string): void {
  const here = { 'thread.name': thread };
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  let before = performance.eventLoopUtilization();
  metrics.observe('the process', () => {
    const p99 = delay.percentile(99) / NANOSECONDS;
    delay.reset();
    const { utilization } = performance.eventLoopUtilization(before);
    before = performance.eventLoopUtilization();
    return [
      reading(METRICS.eventLoopDelay, p99, here),
      reading(METRICS.eventLoopUtilization, utilization, here),
      ...getHeapSpaceStatistics().map((space) =>
        reading(METRICS.heapUsed, space.space_used_size, { ...here, 'v8js.heap.space.name': space.space_name }),
      ),
    ];
  });
}
