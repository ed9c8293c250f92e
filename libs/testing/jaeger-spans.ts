import type { SeenSpan } from './seen-span.js';

interface Tag {
  readonly key: string;
  readonly value: string | number | boolean;
}

interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references?: readonly { readonly refType: string; readonly traceID: string; readonly spanID: string }[];
  /** Microseconds. */
  readonly startTime: number;
  readonly duration: number;
  readonly tags: readonly Tag[];
  readonly logs?: readonly { readonly fields: readonly Tag[] }[];
  readonly processID: string;
}

interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

/** A trace as Jaeger's query API gives it; no spans where it knows none. Retries nothing. */
export async function spansInJaeger(queryUrl: string, traceId: string): Promise<SeenSpan[]> {
  const answer = await fetch(`${queryUrl}/api/traces/${traceId}`);
  if (answer.status === 404) return [];
  return spansOf(await answer.json());
}

/** Ids of the traces that Jaeger finds for a service by tags, as its search form does. */
export async function tracesInJaeger(
  queryUrl: string,
  service: string,
  tags: Readonly<Record<string, string>>,
): Promise<string[]> {
  const query = new URLSearchParams({ service, tags: JSON.stringify(tags), lookback: '1h', limit: '100' });
  const answer = await fetch(`${queryUrl}/api/traces?${query.toString()}`);
  return ((await answer.json()) as { data: JaegerTrace[] }).data.map(({ traceID }) => traceID);
}

function spansOf(answer: unknown): SeenSpan[] {
  const { data } = answer as { data: JaegerTrace[] };
  return data.flatMap(({ spans, processes }) =>
    spans.map((span) => {
      const attributes = valuesOf(span.tags);
      const references = span.references ?? [];
      const { refType, spanID } = references[0] ?? {};
      const isChild = refType === 'CHILD_OF' && references[0]?.traceID === span.traceID;
      return {
        service: processes[span.processID]?.serviceName ?? '',
        traceId: span.traceID,
        spanId: span.spanID,
        parentId: isChild ? spanID : undefined,
        name: span.operationName,
        kind: String(attributes['span.kind'] ?? 'internal'),
        began: span.startTime / 1000,
        ended: (span.startTime + span.duration) / 1000,
        attributes,
        events: (span.logs ?? []).map(({ fields }) => {
          const { event, ...said } = valuesOf(fields);
          return { name: String(event), attributes: said };
        }),
        links: references.slice(isChild ? 1 : 0).map((link) => ({ traceId: link.traceID, spanId: link.spanID })),
        error: attributes['error'] === true ? String(attributes['otel.status_description'] ?? '') : undefined,
      };
    }),
  );
}

function valuesOf(tags: readonly Tag[]): Record<string, string | number | boolean> {
  return Object.fromEntries(tags.map(({ key, value }) => [key, value]));
}
