import { createHash } from 'node:crypto';

/** A span that no process of Remit has sent. */
export interface PlantedSpan {
  /** Names the trace; the same name is the same trace. */
  readonly trace: string;
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly isError?: boolean;
}

export const SERVICE = 'planted';

export const traceIdOf = (trace: string): string => createHash('sha256').update(trace).digest('hex').slice(0, 32);

/** Sends spans as OTLP/HTTP in JSON. Throws when they are not taken. */
export async function plant(endpoint: string, spans: readonly PlantedSpan[]): Promise<void> {
  const nanoseconds = (ms: number): string => `${String(ms)}000000`;
  const attribute = (key: string, stringValue: string): object => ({ key, value: { stringValue } });
  const now = Date.now();
  const body = {
    resourceSpans: [
      {
        resource: { attributes: [attribute('service.name', SERVICE)] },
        scopeSpans: [
          {
            spans: spans.map(({ trace, name, attributes = {}, isError = false }) => ({
              traceId: traceIdOf(trace),
              spanId: createHash('sha256').update(`${trace}\n${name}`).digest('hex').slice(0, 16),
              name,
              kind: 1,
              startTimeUnixNano: nanoseconds(now - 1),
              endTimeUnixNano: nanoseconds(now),
              attributes: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
              status: { code: isError ? 2 : 0 },
            })),
          },
        ],
      },
    ],
  };
  const answer = await fetch(`${endpoint}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`spans were not taken: ${String(answer.status)} ${await answer.text()}`);
}

/** The names of a trace's spans, as Jaeger has them; none where it knows no such trace. */
export async function spanNamesIn(queryUrl: string, trace: string): Promise<string[]> {
  const answer = await fetch(`${queryUrl}/api/traces/${traceIdOf(trace)}`);
  if (answer.status === 404) return [];
  const { data } = (await answer.json()) as { data: { spans: { operationName: string }[] }[] };
  return data.flatMap(({ spans }) => spans.map(({ operationName }) => operationName)).sort();
}

/** Asks again until the answer is as wanted; the test's own limit bounds the wait. */
export async function until<Answer>(
  ask: () => Promise<Answer>,
  isWanted: (answer: Answer) => boolean,
): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
