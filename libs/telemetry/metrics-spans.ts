import type { SpanCounts } from './counted-delivery.js';
import { METRICS } from './metric-table.js';
import { reading, type Metrics } from './metrics.js';

/** What became of the spans of this process: whoever looks for a trace must be able to know that some are missing. */
export function observeSpans(metrics: Metrics, countsOf: () => SpanCounts): void {
  metrics.observe('the spans', () => {
    const { exported, failed, dropped } = countsOf();
    return [
      reading(METRICS.spansExported, exported, {}),
      reading(METRICS.spansDropped, dropped, { 'remit.reason': 'not-sent' }),
      reading(METRICS.spansDropped, failed, { 'remit.reason': 'not-taken' }),
    ];
  });
}
