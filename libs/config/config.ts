import { z } from 'zod';
import { readDatabaseUrl, unescaped, withPasswordFile } from './database-address.js';
import { kafkaSecurityOf, kafkaSecurityVariables, type KafkaSecurity } from './kafka-security.js';
import { isLoopbackHost, isSafeUrl } from './loopback.js';

/** What the environment may say. Names only: values never leave this file except as {@link Config}. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Least serious last. */
export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** How a process of Remit is set up. */
export interface Config {
  /** `host:port` of each. Reading it throws `REMIT_CONFIG_MISSING` where KAFKA_BROKERS is not set. */
  readonly kafkaBrokers: readonly string[];
  /** TLS and SASL of the connections to the brokers. */
  readonly kafkaSecurity: KafkaSecurity;
  /**
   * Reading it throws `REMIT_CONFIG_MISSING` where DATABASE_URL is not set: most processes need no database. What
   * DATABASE_PASSWORD_FILE says is part of it; see `readDatabaseUrl`.
   */
  readonly databaseUrl: string;
  /** Keys with which this process signs, and by which it knows who wrote what it reads. Undefined: nothing is signed. */
  readonly signing: SigningConfig | undefined;
  /** DATABASE_URL is set. */
  readonly hasDatabase: boolean;
  /** Address and port of the health endpoints. Port 0 takes any free one. */
  readonly host: string;
  readonly port: number;
  readonly logLevel: LogLevel;
  /** What was set up on purpose and is not safe, each in one sentence: a process says it when it starts. */
  readonly cautions: readonly string[];
  /** Values of this configuration that no log line may contain. */
  readonly secrets: readonly string[];
  /** How long a batch waits at once for the views to read as far as the log had come, ms; then it comes again later. */
  readonly viewWaitMs: number;
  /**
   * After so long without a sign of life a process is out of its consumer groups, ms: until then nobody takes over what
   * a process left that died without a word. Not below the brokers' group.min.session.timeout.ms (6000 unless changed).
   */
  readonly groupSessionMs: number;
  /** Copies of each topic that Remit creates. */
  readonly replicationFactor: number;
  /** Folder of this installation's own files, such as the dev key. Undefined: it keeps none. */
  readonly stateFolder: string | undefined;
  readonly door: DoorConfig;
  /** Where holds are announced. Undefined: nowhere. */
  readonly webhook: WebhookConfig | undefined;
  /** For the command line: where the door is, and the file that keeps the login. */
  readonly doorUrl: string;
  readonly credentialsFile: string | undefined;
  /** For the command line: where Jaeger shows traces to people. Undefined: traces are named, not linked. */
  readonly jaegerUrl: string | undefined;
  /**
   * Folder of the record's secrets: its master key and its signing keys. All processes that read or write the record
   * share it. Reading it throws `REMIT_CONFIG_MISSING` where REMIT_RECORD_KEYS is not set and the database is not on
   * this machine.
   */
  readonly recordKeys: string;
  /** Where traces go, and which. Undefined: there are none. */
  readonly tracing: TracingConfig | undefined;
  /** Metrics are counted, and can be scraped. */
  readonly exposesMetrics: boolean;
  /** How long audit collects before it closes an epoch and signs a checkpoint, ms. */
  readonly epochMs: number;
}

/** Who may come through the door for people, and how often. */
export interface DoorConfig {
  /** Issuer, audience and keys of the tokens in production. Undefined: tokens of the dev key. */
  readonly issuer: { readonly url: string; readonly audience: string; readonly jwksUrl: string } | undefined;
  /** Where the dev key counts: only while this process listens on loopback, always, or never. */
  readonly devKey: 'loopback' | 'always' | 'never';
  /** The claim with a person's name, under which all they order is on record. */
  readonly identityClaim: string;
  /** The claim with a person's roles. */
  readonly rolesClaim: string;
  /** The charter's word for each role of a token; roles that are not here are dropped. Undefined: the same words. */
  readonly roleMap: ReadonlyMap<string, string> | undefined;
  /** Roles that may activate charters, reinstate agents and grant what the charter names no approver for. */
  readonly adminRoles: readonly string[];
  /** Roles that may see what every held action would execute. */
  readonly auditorRoles: readonly string[];
  /** Requests of one address per minute, and of one person. */
  readonly perMinute: number;
  /** Permissions one person may request per minute, for whatever agents. */
  readonly asksPerMinute: number;
  /** How long an order waits for what comes of it, ms. */
  readonly waitMs: number;
}

export interface SigningConfig {
  /** File with this process's private key. Undefined: it only reads. */
  readonly keyFile: string | undefined;
  /** File with the public keys of every process of Remit. */
  readonly trustedKeysFile: string;
}

export interface WebhookConfig {
  readonly url: string;
  /** The key of the signatures. Never printed. */
  readonly secret: Uint8Array;
  /** A request still open this long after it was made is announced again, ms. */
  readonly ageingMs: number;
}

export interface TracingConfig {
  /** Base address of an OTLP/HTTP collector. */
  readonly endpoint: string;
  /** How long one sending may take, ms. */
  readonly sendMs: number;
  readonly sampling: {
    /** Share of the chains whose agents carry no trace context, 0 to 1. */
    readonly ratio: number;
    /** Outcomes that are traced whatever was sampled. */
    readonly keep: ReadonlySet<'deny' | 'hold'>;
  };
}

export type ConfigCode = 'REMIT_CONFIG_INVALID' | 'REMIT_CONFIG_MISSING';

/** One variable that is wrong. Never contains the value, which may be a secret. */
export interface ConfigProblem {
  readonly code: ConfigCode;
  readonly variable: string;
  readonly message: string;
}

/** The environment cannot be used. Lists every problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: ConfigCode;

  constructor(readonly problems: readonly [ConfigProblem, ...ConfigProblem[]]) {
    super(problems.map(({ code, variable, message }) => `${code}: ${variable} ${message}`).join('\n'));
    this.code = problems[0].code;
  }
}

const BROKER = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):(\d{1,5})$/i;
const LARGEST_PORT = 65_535;

function isBroker(text: string): boolean {
  const port = BROKER.exec(text)?.[1];
  return port !== undefined && Number(port) >= 1 && Number(port) <= LARGEST_PORT;
}

function whole(smallest: number, largest: number, standard: number): z.ZodType<number> {
  const message = `must be a whole number from ${String(smallest)} to ${String(largest)}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, message)
    .transform(Number)
    .refine((value) => value >= smallest && value <= largest, message)
    .prefault(String(standard));
}

const safeUrl = z.string().refine(isSafeUrl, 'must be https://…, or http://… on this machine');

const LOCAL_RECORD_KEYS = '.remit/record-keys';

const LEAST_SECRET_BYTES = 24;

function secretBytes(text: string): Uint8Array {
  return Buffer.from(text.replace(/^whsec_/, ''), 'base64');
}

const names = z
  .string()
  .transform((text) => text.split(',').map((name) => name.trim()))
  .refine((list) => list.every((name) => name !== ''), 'must be names, several with commas');

const roleMap = z
  .string()
  .transform((text) => text.split(',').map((pair) => pair.split('=').map((name) => name.trim())))
  .refine(
    (pairs) => pairs.every((pair) => pair.length === 2 && pair.every((name) => name !== '')),
    'must be theirs=ours, several with commas',
  )
  .transform((pairs) => new Map(pairs as [string, string][]));

/** The words of Nest and of OpenTelemetry alike. */
const LOG_LEVELS = {
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'info',
  log: 'info',
  debug: 'debug',
  trace: 'trace',
  verbose: 'trace',
} as const;

const SAMPLERS = ['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'] as const;

/** Every variable that Remit reads. */
const variables = z.object({
  KAFKA_BROKERS: z
    .string()
    .transform((text) => text.split(',').map((broker) => broker.trim()))
    .refine((brokers) => brokers.every(isBroker), 'must be host:port, several with commas')
    .optional(),
  ...kafkaSecurityVariables,
  REMIT_SIGNING_KEY_FILE: z.string().optional(),
  REMIT_TRUSTED_KEYS_FILE: z.string().optional(),
  DATABASE_URL: z
    .string()
    .superRefine((text, context) => {
      const read = readDatabaseUrl(text);
      if (!read.ok) context.addIssue({ code: 'custom', message: read.problem });
    })
    .optional(),
  DATABASE_PASSWORD_FILE: z.string().optional(),
  HOST: z.string().min(1, 'must be an address to listen on').default('127.0.0.1'),
  PORT: whole(0, LARGEST_PORT, 8080),
  LOG_LEVEL: z
    .enum(Object.keys(LOG_LEVELS) as [keyof typeof LOG_LEVELS], `must be one of ${Object.keys(LOG_LEVELS).join(', ')}`)
    .default('info')
    .transform((level): LogLevel => LOG_LEVELS[level]),
  REMIT_VIEW_WAIT_MS: whole(1, 60_000, 2000),
  REMIT_REPLICATION_FACTOR: whole(1, 100, 1),
  REMIT_GROUP_SESSION_MS: whole(1000, 300_000, 6000),
  REMIT_STATE_DIR: z.string().optional(),
  REMIT_DOOR_ISSUER: z.string().optional(),
  REMIT_DOOR_AUDIENCE: z.string().optional(),
  REMIT_DOOR_JWKS_URL: safeUrl.optional(),
  REMIT_DOOR_DEV_KEY: z.enum(['loopback', 'always', 'never'], 'must be loopback, always or never').default('loopback'),
  REMIT_DOOR_ROLES_CLAIM: z.string().default('roles'),
  REMIT_DOOR_ROLE_MAP: roleMap.optional(),
  REMIT_DOOR_ADMIN_ROLES: names.prefault('governance'),
  REMIT_DOOR_AUDITOR_ROLES: names.prefault('auditor'),
  REMIT_DOOR_IDENTITY_CLAIM: z.string().min(1).max(64).default('sub'),
  REMIT_DOOR_PER_MINUTE: whole(1, 1_000_000, 600),
  REMIT_DOOR_ASKS_PER_MINUTE: whole(1, 1_000_000, 30),
  REMIT_DOOR_WAIT_MS: whole(1, 60_000, 5000),
  REMIT_DOOR_URL: safeUrl.optional(),
  REMIT_CREDENTIALS: z.string().optional(),
  REMIT_JAEGER_URL: z.url({ protocol: /^https?$/, error: 'must be http://… or https://…' }).optional(),
  REMIT_RECORD_KEYS: z.string().optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be http://… or https://…' }).optional(),
  OTEL_EXPORTER_OTLP_TIMEOUT: whole(1, 86_400_000, 5000),
  OTEL_SDK_DISABLED: z.enum(['true', 'false'], 'must be true or false').default('false'),
  OTEL_TRACES_SAMPLER: z
    .enum(SAMPLERS, `must be one of ${SAMPLERS.join(', ')}: agents decide for their chains`)
    .default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number('must be a share, 0 to 1').min(0).max(1).default(1),
  OTEL_METRICS_EXPORTER: z
    .enum(['prometheus', 'none'], 'must be prometheus, which scrapes /metrics, or none')
    .default('prometheus'),
  REMIT_TRACE_KEEP: z
    .string()
    .default('deny,hold')
    .transform((text) => text.split(',').map((outcome) => outcome.trim()))
    .pipe(z.array(z.enum(['deny', 'hold', 'none'], 'must be deny, hold, both with a comma, or none'))),
  REMIT_EPOCH_MS: whole(100, 86_400_000, 60_000),
  REMIT_WEBHOOK_URL: safeUrl.optional(),
  REMIT_WEBHOOK_SECRET: z
    .string()
    .transform(secretBytes)
    .refine((secret) => secret.length >= LEAST_SECRET_BYTES, 'must be whsec_ and at least 24 bytes in base64')
    .optional(),
  REMIT_WEBHOOK_AGEING_MS: whole(1, 604_800_000, 900_000),
});

type Variables = z.infer<typeof variables>;

function issuerOf(read: Variables): DoorConfig['issuer'] {
  const { REMIT_DOOR_ISSUER: url, REMIT_DOOR_AUDIENCE: audience, REMIT_DOOR_JWKS_URL: jwksUrl } = read;
  if (url === undefined && audience === undefined && jwksUrl === undefined) return undefined;
  const together = 'is not set; issuer, audience and JWKS URL go together';
  return {
    url: url ?? missing('REMIT_DOOR_ISSUER', together),
    audience: audience ?? missing('REMIT_DOOR_AUDIENCE', together),
    jwksUrl: jwksUrl ?? missing('REMIT_DOOR_JWKS_URL', together),
  };
}

function tracingOf(read: Variables): TracingConfig | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER: sampler } = read;
  if (endpoint === undefined || read.OTEL_SDK_DISABLED === 'true') return undefined;
  const ratios = {
    parentbased_always_on: 1,
    parentbased_always_off: 0,
    parentbased_traceidratio: read.OTEL_TRACES_SAMPLER_ARG,
  };
  const keep = new Set(read.REMIT_TRACE_KEEP.filter((outcome) => outcome !== 'none'));
  return { endpoint, sendMs: read.OTEL_EXPORTER_OTLP_TIMEOUT, sampling: { ratio: ratios[sampler], keep } };
}

function signingOf(read: Variables): SigningConfig | undefined {
  const { REMIT_SIGNING_KEY_FILE: keyFile, REMIT_TRUSTED_KEYS_FILE: trustedKeysFile } = read;
  if (keyFile === undefined && trustedKeysFile === undefined) return undefined;
  return {
    keyFile,
    trustedKeysFile:
      trustedKeysFile ??
      missing('REMIT_TRUSTED_KEYS_FILE', 'is not set; whoever signs also checks what others have signed'),
  };
}

function webhookOf(read: Variables): WebhookConfig | undefined {
  const { REMIT_WEBHOOK_URL: url, REMIT_WEBHOOK_SECRET: secret } = read;
  if (url === undefined) return undefined;
  return {
    url,
    secret: secret ?? missing('REMIT_WEBHOOK_SECRET', 'is not set; announcements are signed with it'),
    ageingMs: read.REMIT_WEBHOOK_AGEING_MS,
  };
}

/**
 * Reads a process's set-up. An empty variable counts as not set.
 * Throws {@link ConfigError} with every value that cannot be used.
 */
export function readConfig(environment: Environment): Config {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const read = variables.safeParse(present);
  if (!read.success) {
    const [first, ...others] = read.error.issues.map((issue): ConfigProblem => ({
      code: 'REMIT_CONFIG_INVALID',
      variable: String(issue.path[0]),
      message: issue.message,
    }));
    if (first === undefined) throw read.error;
    throw new ConfigError([first, ...others]);
  }
  const { KAFKA_BROKERS, HOST, PORT, LOG_LEVEL, REMIT_VIEW_WAIT_MS, REMIT_REPLICATION_FACTOR } = read.data;
  const databaseUrl = databaseUrlOf(read.data);
  const isLocalKafka = (KAFKA_BROKERS ?? []).every((broker) =>
    isLoopbackHost(broker.slice(0, broker.lastIndexOf(':'))),
  );
  const kafkaSecurity = kafkaSecurityOf(read.data, { isLocal: isLocalKafka, invalid });
  return {
    get kafkaBrokers() {
      return (
        KAFKA_BROKERS ?? missing('KAFKA_BROKERS', 'is not set; it names the brokers as host:port, several with commas')
      );
    },
    kafkaSecurity,
    signing: signingOf(read.data),
    hasDatabase: databaseUrl !== undefined,
    get databaseUrl() {
      return databaseUrl ?? missing('DATABASE_URL', 'is not set; it is postgres://user:password@host:port/database');
    },
    host: HOST,
    port: PORT,
    logLevel: LOG_LEVEL,
    cautions: [
      ...(isLocalKafka || kafkaSecurity.tls !== undefined ? [] : [PLAIN_KAFKA]),
      ...(databaseUrl === undefined ? [] : databaseCautions(databaseUrl)),
    ],
    secrets: secretsOf(present),
    viewWaitMs: REMIT_VIEW_WAIT_MS,
    groupSessionMs: read.data.REMIT_GROUP_SESSION_MS,
    replicationFactor: REMIT_REPLICATION_FACTOR,
    stateFolder: read.data.REMIT_STATE_DIR,
    door: {
      issuer: issuerOf(read.data),
      devKey: read.data.REMIT_DOOR_DEV_KEY,
      rolesClaim: read.data.REMIT_DOOR_ROLES_CLAIM,
      roleMap: read.data.REMIT_DOOR_ROLE_MAP,
      adminRoles: read.data.REMIT_DOOR_ADMIN_ROLES,
      identityClaim: read.data.REMIT_DOOR_IDENTITY_CLAIM,
      auditorRoles: read.data.REMIT_DOOR_AUDITOR_ROLES,
      perMinute: read.data.REMIT_DOOR_PER_MINUTE,
      asksPerMinute: read.data.REMIT_DOOR_ASKS_PER_MINUTE,
      waitMs: read.data.REMIT_DOOR_WAIT_MS,
    },
    webhook: webhookOf(read.data),
    tracing: tracingOf(read.data),
    exposesMetrics: read.data.OTEL_METRICS_EXPORTER === 'prometheus' && read.data.OTEL_SDK_DISABLED === 'false',
    doorUrl: read.data.REMIT_DOOR_URL ?? 'http://127.0.0.1:8080',
    credentialsFile: read.data.REMIT_CREDENTIALS,
    jaegerUrl: read.data.REMIT_JAEGER_URL,
    get recordKeys() {
      return read.data.REMIT_RECORD_KEYS ?? localRecordKeys(databaseUrl);
    },
    epochMs: read.data.REMIT_EPOCH_MS,
  };
}

/** Passwords as they are written and as they are meant. */
function secretsOf(environment: Environment): string[] {
  const { DATABASE_URL, OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS } = environment;
  const password = DATABASE_URL === undefined ? '' : new URL(DATABASE_URL).password;
  // `name=value,name=value`, as OpenTelemetry's exporter reads it by itself
  const headers = [OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS]
    .flatMap((text) => (text ?? '').split(','))
    .map((pair) => pair.slice(pair.indexOf('=') + 1).trim());
  const secrets = [
    ...[password, ...headers].flatMap((secret) => [secret, unescaped(secret)]),
    environment.REMIT_WEBHOOK_SECRET ?? '',
    environment.KAFKA_SASL_PASSWORD ?? '',
    environment.KAFKA_SASL_CLIENT_SECRET ?? '',
  ];
  return [...new Set(secrets.filter((secret) => secret !== ''))];
}

/** DATABASE_URL, with the file of its password in it. */
function databaseUrlOf({ DATABASE_URL: url, DATABASE_PASSWORD_FILE: file }: Variables): string | undefined {
  if (file === undefined || url === undefined) {
    if (file !== undefined) missing('DATABASE_URL', 'is not set, and DATABASE_PASSWORD_FILE holds a password for it');
    return url;
  }
  const whole = withPasswordFile(url, file);
  const read = readDatabaseUrl(whole);
  if (!read.ok) invalid('DATABASE_PASSWORD_FILE', `does not go with DATABASE_URL, which ${read.problem}`);
  return whole;
}

const PLAIN_KAFKA =
  'KAFKA_BROKERS are reached without TLS: whoever is on the way reads and changes what agents intend (docs/guide/security.md)';

function databaseCautions(databaseUrl: string): string[] {
  const read = readDatabaseUrl(databaseUrl);
  if (!read.ok || isLoopbackHost(read.address.host)) return [];
  const { tls } = read.address;
  if (tls === undefined) {
    return [
      'DATABASE_URL says sslmode=disable: whoever is on the way to PostgreSQL reads and changes the audit log (docs/guide/security.md)',
    ];
  }
  if (tls.mode !== 'require' || tls.caFile !== undefined) return [];
  return [
    'DATABASE_URL says sslmode=require without sslrootcert: anybody on the way may pose as PostgreSQL (docs/guide/security.md)',
  ];
}

/** On one machine the keys of the record need no place of their own; elsewhere they must not be made in passing. */
function localRecordKeys(databaseUrl: string | undefined): string {
  if (databaseUrl !== undefined && !isLoopbackHost(new URL(databaseUrl).hostname)) {
    missing('REMIT_RECORD_KEYS', 'is not set; it is the folder of the keys that all processes of the record share');
  }
  return LOCAL_RECORD_KEYS;
}

function invalid(variable: string, message: string): never {
  throw new ConfigError([{ code: 'REMIT_CONFIG_INVALID', variable, message }]);
}

function missing(variable: string, message: string): never {
  throw new ConfigError([{ code: 'REMIT_CONFIG_MISSING', variable, message }]);
}

/** {@link readConfig} of this process's own environment. */
export function loadConfig(): Config {
  return readConfig(process.env);
}
