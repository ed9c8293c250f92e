import type { Attributes } from '@opentelemetry/api';
import { DataPointType, type Histogram, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { prometheusLabelOf, prometheusNameOf } from './metric-table.js';

/** How metrics are written down: OpenMetrics 1.0, which knows exemplars, or the older text format of Prometheus. */
export type ExpositionFormat = 'openmetrics' | 'prometheus';

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
};

/** One observation, with the trace in which it was made. `time` in ms since the epoch. */
export interface Exemplar {
  readonly traceId: string;
  readonly spanId: string;
  readonly value: number;
  readonly time: number;
}

/** The exemplar of a histogram's bucket, by the bucket's index; the last one is `+Inf`. */
export type ExemplarLookup = (metric: string, attributes: Attributes, bucket: number) => Exemplar | undefined;

/** What an `Accept` header (RFC 9110) asks for; the older format where it does not matter or cannot be read. */
export function formatFor(accept: string | undefined): ExpositionFormat {
  let openMetrics = 0;
  let text = 0;
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    if (type === 'application/openmetrics-text') openMetrics = Math.max(openMetrics, weight);
    else if (type === 'text/plain' || type === 'text/*' || type === '*/*') text = Math.max(text, weight);
  }
  return openMetrics > 0 && openMetrics >= text ? 'openmetrics' : 'prometheus';
}

/** Metrics as Prometheus reads them: every family whole and once, in the order given. */
export function expositionOf(
  { resource, scopeMetrics }: ResourceMetrics,
  format: ExpositionFormat,
  exemplarOf: ExemplarLookup = () => undefined,
): string {
  const lines = targetInfo(resource.attributes, format);
  for (const { metrics } of scopeMetrics) {
    for (const metric of metrics) lines.push(...familyOf(metric, format, exemplarOf));
  }
  if (format === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

/** Who is scraped. OpenMetrics has a type for it; elsewhere it is a gauge that is always 1. */
function targetInfo(attributes: Attributes, format: ExpositionFormat): string[] {
  const family = format === 'openmetrics' ? 'target' : 'target_info';
  return [
    `# TYPE ${family} ${format === 'openmetrics' ? 'info' : 'gauge'}`,
    `# HELP ${family} The process that is scraped.`,
    sample('target_info', labelsOf(attributes), 1),
  ];
}

function familyOf(metric: MetricData, format: ExpositionFormat, exemplarOf: ExemplarLookup): string[] {
  if (metric.dataPoints.length === 0) return [];
  const { name, unit, description } = metric.descriptor;
  const instrument = instrumentOf(metric);
  const names = prometheusNameOf({ name, unit, instrument });
  // the older format has no families: metadata goes by the sample's name
  const titled = format === 'openmetrics' ? names.family : names.sample;
  const word = /_(seconds|bytes|ratio)$/.exec(names.family)?.[1];
  const lines = [`# TYPE ${titled} ${instrument}`];
  if (format === 'openmetrics' && word !== undefined) lines.push(`# UNIT ${titled} ${word}`);
  lines.push(`# HELP ${titled} ${escapeHelp(description, format)}`);
  for (const { attributes, value } of metric.dataPoints) {
    const labels = labelsOf(attributes);
    if (typeof value === 'number') lines.push(sample(names.sample, labels, value));
    else if ('buckets' in value) {
      const exemplarAt = (bucket: number): string => {
        const exemplar = format === 'openmetrics' ? exemplarOf(name, attributes, bucket) : undefined;
        return exemplar === undefined ? '' : writtenExemplar(exemplar);
      };
      lines.push(...histogramLines(names.family, labels, value, exemplarAt));
    }
  }
  return lines;
}

function instrumentOf(metric: MetricData): 'counter' | 'gauge' | 'histogram' {
  if (metric.dataPointType === DataPointType.SUM) return metric.isMonotonic ? 'counter' : 'gauge';
  return metric.dataPointType === DataPointType.GAUGE ? 'gauge' : 'histogram';
}

/** Buckets say how many observations were at most so large, so each includes the ones before. */
function histogramLines(
  family: string,
  labels: readonly string[],
  { buckets: { boundaries, counts }, sum = 0, count }: Histogram,
  exemplarAt: (bucket: number) => string,
): string[] {
  let soFar = 0;
  const lines = counts.map((inBucket, bucket) => {
    soFar += inBucket;
    const le = label('le', boundOf(boundaries[bucket] ?? Infinity));
    return sample(`${family}_bucket`, [...labels, le], soFar) + exemplarAt(bucket);
  });
  return [...lines, sample(`${family}_sum`, labels, sum), sample(`${family}_count`, labels, count)];
}

function sample(name: string, labels: readonly string[], value: number): string {
  return `${name}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${numberOf(value)}`;
}

function writtenExemplar({ traceId, spanId, value, time }: Exemplar): string {
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${numberOf(value)} ${(time / 1000).toFixed(3)}`;
}

/** By name, each once: of two that Prometheus would spell alike, the last one stays. */
function labelsOf(attributes: Attributes): string[] {
  const labels = new Map<string, string>();
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'string') labels.set(prometheusLabelOf(name), value);
    else if (value !== undefined) labels.set(prometheusLabelOf(name), JSON.stringify(value));
  }
  return [...labels].sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, value]) => label(name, value));
}

function label(name: string, value: string): string {
  return `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function escapeHelp(text: string, format: ExpositionFormat): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return format === 'openmetrics' ? escaped.replaceAll('"', '\\"') : escaped;
}

function numberOf(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

/** The same in both formats, so that a change of format is no change of series: OpenMetrics wants `1.0`. */
function boundOf(bound: number): string {
  return Number.isInteger(bound) ? `${String(bound)}.0` : numberOf(bound);
}
