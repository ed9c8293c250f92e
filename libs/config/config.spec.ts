import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig, type ConfigProblem, type Environment } from './config.js';

function problemsOf(environment: Environment): readonly ConfigProblem[] {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('the configuration', () => {
  it('listens on this machine only unless told otherwise', () => {
    expect(readConfig({}).host).toBe('127.0.0.1');
  });

  it('has metrics that can be scraped, unless OpenTelemetry or they are switched off', () => {
    expect(readConfig({}).exposesMetrics).toBe(true);
    expect(readConfig({ OTEL_METRICS_EXPORTER: 'none' }).exposesMetrics).toBe(false);
    expect(readConfig({ OTEL_SDK_DISABLED: 'true' }).exposesMetrics).toBe(false);
    expect(problemsOf({ OTEL_METRICS_EXPORTER: 'otlp' }).map(({ variable }) => variable)).toEqual([
      'OTEL_METRICS_EXPORTER',
    ]);
  });

  it('sends spans for as long as OpenTelemetry is told to, five seconds if it is not', () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.example:4318' };
    expect(readConfig(endpoint).tracing?.sendMs).toBe(5000);
    expect(readConfig({ ...endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: '900' }).tracing?.sendMs).toBe(900);
    expect(problemsOf({ ...endpoint, OTEL_EXPORTER_OTLP_TIMEOUT: '5s' }).map(({ variable }) => variable)).toEqual([
      'OTEL_EXPORTER_OTLP_TIMEOUT',
    ]);
  });

  it('takes several brokers', () => {
    expect(readConfig({ KAFKA_BROKERS: 'a.example:9092, [::1]:9093' }).kafkaBrokers).toEqual([
      'a.example:9092',
      '[::1]:9093',
    ]);
  });

  it('names every variable that is wrong at once', () => {
    const problems = problemsOf({
      KAFKA_BROKERS: 'nowhere',
      DATABASE_URL: 'mysql://x/y',
      PORT: '70000',
      LOG_LEVEL: 'loud',
    });
    expect(problems.map(({ variable, code }) => [variable, code])).toEqual([
      ['KAFKA_BROKERS', 'REMIT_CONFIG_INVALID'],
      ['DATABASE_URL', 'REMIT_CONFIG_INVALID'],
      ['PORT', 'REMIT_CONFIG_INVALID'],
      ['LOG_LEVEL', 'REMIT_CONFIG_INVALID'],
    ]);
  });

  it('never repeats a value in an error, because it may be a password', () => {
    const [problem] = problemsOf({ DATABASE_URL: 'http://remit:hunter2@db/remit' });
    expect(problem?.message).toBe('must be postgres://user:password@host:port/database');
  });

  it('knows which of its values no log may contain, as they are written and as they are meant', () => {
    const environment = {
      DATABASE_URL: 'postgres://remit:p%40ss@db/remit',
      REMIT_WEBHOOK_URL: 'https://hooks.example/x',
      REMIT_WEBHOOK_SECRET: `whsec_${Buffer.alloc(24, 1).toString('base64')}`,
    };
    expect(readConfig(environment).secrets).toEqual(['p%40ss', 'p@ss', environment.REMIT_WEBHOOK_SECRET]);
    const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20t0k3n,x-tenant=acme' };
    expect(readConfig(headers).secrets).toEqual(['Bearer%20t0k3n', 'Bearer t0k3n', 'acme']);
    expect(readConfig({}).secrets).toEqual([]);
  });

  it('takes the level of the log in the words of Nest and of OpenTelemetry', () => {
    const levels = ['info', 'log', 'trace', 'verbose'].map((LOG_LEVEL) => readConfig({ LOG_LEVEL }).logLevel);
    expect(levels).toEqual(['info', 'info', 'trace', 'trace']);
  });

  it('needs a database only where one is used', () => {
    const config = readConfig({ KAFKA_BROKERS: 'localhost:9092' });
    expect(config.kafkaBrokers).toEqual(['localhost:9092']);
    expect(() => config.databaseUrl).toThrow('REMIT_CONFIG_MISSING: DATABASE_URL');
  });

  it('links traces only where it is told where Jaeger is, and only to the web', () => {
    expect(readConfig({}).jaegerUrl).toBeUndefined();
    expect(readConfig({ REMIT_JAEGER_URL: 'http://jaeger:16686' }).jaegerUrl).toBe('http://jaeger:16686');
    expect(problemsOf({ REMIT_JAEGER_URL: 'javascript:alert(1)' }).map(({ variable }) => variable)).toEqual([
      'REMIT_JAEGER_URL',
    ]);
  });

  it('wants to be told where the keys of the record are, unless its database is on this machine', () => {
    const near = { DATABASE_URL: 'postgres://remit:secret@127.0.0.1:5432/remit' };
    const far = { DATABASE_URL: 'postgres://remit:secret@db.example:5432/remit' };
    expect(readConfig(near).recordKeys).toBe('.remit/record-keys');
    expect(() => readConfig(far).recordKeys).toThrow('REMIT_RECORD_KEYS');
    expect(readConfig({ ...far, REMIT_RECORD_KEYS: '/keys' }).recordKeys).toBe('/keys');
  });

  it('treats an empty variable as one that is not set', () => {
    const config = readConfig({ KAFKA_BROKERS: '', PORT: '' });
    expect(config.port).toBe(8080);
    expect(() => config.kafkaBrokers).toThrow('REMIT_CONFIG_MISSING: KAFKA_BROKERS');
  });

  it('lets a process that is silent be out of its groups as soon as brokers allow, unless told otherwise', () => {
    expect(readConfig({}).groupSessionMs).toBe(6000);
    expect(readConfig({ REMIT_GROUP_SESSION_MS: '30000' }).groupSessionMs).toBe(30_000);
    expect(problemsOf({ REMIT_GROUP_SESSION_MS: '999' }).map(({ variable }) => variable)).toEqual([
      'REMIT_GROUP_SESSION_MS',
    ]);
  });

  it.each(['0', '-1', '1.5', '1e3', '999999999999'])(
    'refuses to wait for the views for %s ms',
    (REMIT_VIEW_WAIT_MS) => {
      expect(problemsOf({ REMIT_VIEW_WAIT_MS }).map(({ variable }) => variable)).toEqual(['REMIT_VIEW_WAIT_MS']);
    },
  );

  describe('of the door', () => {
    it('makes those of the role governance administrators unless told otherwise', () => {
      expect(readConfig({}).door.adminRoles).toEqual(['governance']);
      expect(readConfig({ REMIT_DOOR_ADMIN_ROLES: 'board, ciso' }).door.adminRoles).toEqual(['board', 'ciso']);
      expect(readConfig({}).door).toMatchObject({ auditorRoles: ['auditor'], identityClaim: 'sub' });
    });

    it('lets a dev key count on this machine only unless told otherwise', () => {
      expect(readConfig({}).door.devKey).toBe('loopback');
    });

    it('takes an identity provider whole or not at all', () => {
      expect(() => readConfig({ REMIT_DOOR_ISSUER: 'https://id.example' })).toThrow('REMIT_DOOR_AUDIENCE');
    });

    it.each(['http://id.example/keys', 'ftp://id.example', 'keys'])(
      'fetches no keys from %s',
      (REMIT_DOOR_JWKS_URL) => {
        expect(problemsOf({ REMIT_DOOR_JWKS_URL }).map(({ variable }) => variable)).toEqual(['REMIT_DOOR_JWKS_URL']);
      },
    );

    it('translates roles, theirs to ours', () => {
      const { roleMap } = readConfig({ REMIT_DOOR_ROLE_MAP: 'grp-1=security, grp-2=operations' }).door;
      expect([...(roleMap ?? [])]).toEqual([
        ['grp-1', 'security'],
        ['grp-2', 'operations'],
      ]);
      expect(problemsOf({ REMIT_DOOR_ROLE_MAP: 'grp-1' }).map(({ variable }) => variable)).toEqual([
        'REMIT_DOOR_ROLE_MAP',
      ]);
    });

    it('announces holds only with a key to sign them, and never shows it', () => {
      expect(() => readConfig({ REMIT_WEBHOOK_URL: 'https://hooks.example' })).toThrow('REMIT_WEBHOOK_SECRET');
      const [problem] = problemsOf({ REMIT_WEBHOOK_SECRET: 'whsec_c2hvcnQ=' });
      expect(problem?.message).toBe('must be whsec_ and at least 24 bytes in base64');
    });
  });
});
