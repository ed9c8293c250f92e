import { ConfigError, loadConfig, type Config } from '#config';

/** A spec needs a real backend that is not there. It fails: a promise that was not checked is not kept. */
class MissingBackend extends Error {
  override readonly name = 'MissingBackend';

  constructor(
    readonly code: 'REMIT_TEST_NO_KAFKA' | 'REMIT_TEST_NO_DATABASE' | 'REMIT_TEST_NO_JAEGER',
    variable: string,
    options: ErrorOptions = {},
    command = 'npm test',
  ) {
    super(`${code}: ${variable} is not set; run the specs with ${command}, which starts what they need`, options);
  }
}

function required<Value>(
  read: (config: Config) => Value,
  code: 'REMIT_TEST_NO_KAFKA' | 'REMIT_TEST_NO_DATABASE',
  variable: string,
): Value {
  try {
    return read(loadConfig());
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'REMIT_CONFIG_MISSING')
      throw new MissingBackend(code, variable, { cause: error });
    throw error;
  }
}

/** The brokers that specs run against, `host:port` each. Throws `REMIT_TEST_NO_KAFKA`. */
export function requireKafka(): readonly string[] {
  return required((config) => config.kafkaBrokers, 'REMIT_TEST_NO_KAFKA', 'KAFKA_BROKERS');
}

/** The PostgreSQL server that specs run against. Throws `REMIT_TEST_NO_DATABASE`. */
export function requireDatabaseUrl(): string {
  return required((config) => config.databaseUrl, 'REMIT_TEST_NO_DATABASE', 'DATABASE_URL');
}

/** The Jaeger that specs run against: where to ask, and where it takes spans. Throws `REMIT_TEST_NO_JAEGER`. */
export function requireJaeger(): { readonly queryUrl: string; readonly otlpEndpoint: string } {
  const { jaegerUrl, tracing } = loadConfig();
  if (jaegerUrl === undefined || tracing === undefined) {
    const variables = 'REMIT_JAEGER_URL or OTEL_EXPORTER_OTLP_ENDPOINT';
    throw new MissingBackend('REMIT_TEST_NO_JAEGER', variables, {}, 'npm run test:observability');
  }
  return { queryUrl: jaegerUrl.replace(/\/+$/, ''), otlpEndpoint: tracing.endpoint };
}
