import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import protobuf from 'protobufjs';
import type { SeenSpan } from './seen-span.js';

/** What Remit sends of OTLP (opentelemetry-proto 1.x, trace/v1): the fields that are looked at, by their numbers. */
const OTLP = `
syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9;
  repeated Event events = 11; repeated Link links = 13; Status status = 15;
}
message Event { fixed64 time_unix_nano = 1; string name = 2; repeated KeyValue attributes = 3; }
message Link { bytes trace_id = 1; bytes span_id = 2; repeated KeyValue attributes = 4; }
message Status { string message = 2; int32 code = 3; }
`;

const request = protobuf.parse(OTLP).root.lookupType('Request');

interface KeyValue {
  readonly key: string;
  readonly value?: Readonly<Record<string, string | number | boolean>>;
}

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind?: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly KeyValue[];
  readonly events?: readonly { readonly name: string; readonly attributes?: readonly KeyValue[] }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly message?: string; readonly code?: number };
}

interface OtlpRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly KeyValue[] };
    readonly scopeSpans?: readonly { readonly spans?: readonly OtlpSpan[] }[];
  }[];
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const ERROR_CODE = 2;

/** A collector for tests: takes OTLP/HTTP in protobuf on loopback, and keeps every span. */
export class OtlpReceiver {
  readonly spans: SeenSpan[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpReceiver> {
    const server = createServer((incoming, answer) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        receiver.spans.push(...spansOf(Buffer.concat(chunks)));
        answer.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      });
    });
    const receiver = new OtlpReceiver(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  /** The base address to configure as `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  get endpoint(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  /** Resolves once `enough` holds of the spans so far; rejects with what there is when it takes too long. */
  async until(enough: (spans: readonly SeenSpan[]) => boolean, withinMs = 120_000): Promise<readonly SeenSpan[]> {
    const deadline = performance.now() + withinMs;
    while (!enough(this.spans)) {
      if (performance.now() > deadline) {
        throw new Error(`spans are missing; there are:\n${this.spans.map(({ name }) => name).join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return this.spans;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function spansOf(body: Uint8Array): SeenSpan[] {
  const { resourceSpans = [] } = request.toObject(request.decode(body), {
    longs: String,
    bytes: String,
  }) as OtlpRequest;
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const service = String(attributesOf(resource?.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => seen(service, span)));
  });
}

function seen(service: string, span: OtlpSpan): SeenSpan {
  const parentId = hex(span.parentSpanId ?? '');
  return {
    service,
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentId: parentId === '' ? undefined : parentId,
    name: span.name,
    kind: KINDS[span.kind ?? 0] ?? 'unspecified',
    began: Number(BigInt(span.startTimeUnixNano) / 1000n) / 1000,
    ended: Number(BigInt(span.endTimeUnixNano) / 1000n) / 1000,
    attributes: attributesOf(span.attributes),
    events: (span.events ?? []).map(({ name, attributes }) => ({ name, attributes: attributesOf(attributes) })),
    links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId: hex(traceId), spanId: hex(spanId) })),
    error: span.status?.code === ERROR_CODE ? (span.status.message ?? '') : undefined,
  };
}

function hex(base64: string): string {
  return Buffer.from(base64, 'base64').toString('hex');
}

function attributesOf(attributes: readonly KeyValue[] = []): SeenSpan['attributes'] {
  return Object.fromEntries(
    attributes.map(({ key, value = {} }) => {
      const [[kind, one] = ['', '']] = Object.entries(value);
      return [key, kind === 'intValue' ? Number(one) : one];
    }),
  );
}
