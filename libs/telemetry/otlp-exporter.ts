import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';

/** How long one sending may take unless told, ms. */
export const SEND_MS = 5000;

export interface SendingTerms {
  /** How long one sending may take, ms. */
  readonly sendMs: number;
  readonly atOnce: number;
}

/** Sends spans to an OTLP/HTTP collector at a base address such as `http://127.0.0.1:4318`. */
export function otlpExporter(endpoint: string, { sendMs, atOnce }: SendingTerms): OTLPTraceExporter {
  return new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: sendMs,
    concurrencyLimit: atOnce,
  });
}
