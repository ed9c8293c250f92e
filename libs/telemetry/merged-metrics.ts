import { DataPointType, type MetricData, type ScopeMetrics } from '@opentelemetry/sdk-metrics';

type DataPoint = MetricData['dataPoints'][number];

/**
 * What several threads of one process have counted, as one: every metric once. Where two have the same series, counts
 * and histograms are added up; of gauges the first one stays.
 */
export function mergedMetrics(of: readonly ScopeMetrics[]): ScopeMetrics[] {
  const [first] = of;
  if (first === undefined) return [];
  const byName = Map.groupBy(
    of.flatMap(({ metrics }) => metrics),
    ({ descriptor }) => descriptor.name,
  );
  return [{ scope: first.scope, metrics: [...byName.values()].flatMap(mergedMetric) }];
}

function mergedMetric([first, ...others]: readonly MetricData[]): MetricData[] {
  if (first === undefined) return [];
  if (others.length === 0) return [first];
  const series = new Map<string, DataPoint>();
  for (const { dataPoints } of [first, ...others]) {
    for (const point of dataPoints) {
      const key = JSON.stringify(Object.entries(point.attributes).sort(([one], [other]) => (one < other ? -1 : 1)));
      const known = series.get(key);
      if (known === undefined) series.set(key, point);
      else if (first.dataPointType !== DataPointType.GAUGE) series.set(key, added(known, point));
    }
  }
  return [{ ...first, dataPoints: [...series.values()] } as MetricData];
}

function added(one: DataPoint, other: DataPoint): DataPoint {
  const [a, b] = [one.value, other.value];
  if (typeof a === 'number' && typeof b === 'number') return { ...one, value: a + b };
  if (typeof a === 'number' || typeof b === 'number' || !('buckets' in a) || !('buckets' in b)) return one;
  const counts = a.buckets.counts.map((count, bucket) => count + (b.buckets.counts[bucket] ?? 0));
  const sum = (a.sum ?? 0) + (b.sum ?? 0);
  return {
    ...one,
    value: { buckets: { boundaries: a.buckets.boundaries, counts }, sum, count: a.count + b.count },
  };
}
