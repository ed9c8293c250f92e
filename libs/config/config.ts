import { z } from 'zod';

/** What the environment may say. Names only: values never leave this file except as {@link Config}. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type LogLevel = 'fatal' | 'error' | 'warn' | 'log' | 'debug' | 'verbose';

/** How a process of Remit is set up. */
export interface Config {
  /** `host:port` of each. Reading it throws `REMIT_CONFIG_MISSING` where KAFKA_BROKERS is not set. */
  readonly kafkaBrokers: readonly string[];
  /** Reading it throws `REMIT_CONFIG_MISSING` where DATABASE_URL is not set: most processes need no database. */
  readonly databaseUrl: string;
  /** Address and port of the health endpoints. Port 0 takes any free one. */
  readonly host: string;
  readonly port: number;
  readonly logLevel: LogLevel;
  /** How long a batch waits at most for the views to read as far as the log had come, ms; then it is denied. */
  readonly viewWaitMs: number;
  /** Copies of each topic that Remit creates. */
  readonly replicationFactor: number;
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

function isDatabaseUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '' && url.pathname.length > 1;
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

const LOG_LEVELS = {
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'log',
  log: 'log',
  debug: 'debug',
  verbose: 'verbose',
} as const;

/** Every variable that Remit reads. */
const variables = z.object({
  KAFKA_BROKERS: z
    .string()
    .transform((text) => text.split(',').map((broker) => broker.trim()))
    .refine((brokers) => brokers.every(isBroker), 'must be host:port, several with commas')
    .optional(),
  DATABASE_URL: z.string().refine(isDatabaseUrl, 'must be postgres://user:password@host:port/database').optional(),
  HOST: z.string().min(1, 'must be an address to listen on').default('127.0.0.1'),
  PORT: whole(0, LARGEST_PORT, 8080),
  LOG_LEVEL: z
    .enum(Object.keys(LOG_LEVELS) as [keyof typeof LOG_LEVELS], `must be one of ${Object.keys(LOG_LEVELS).join(', ')}`)
    .default('info')
    .transform((level): LogLevel => LOG_LEVELS[level]),
  REMIT_VIEW_WAIT_MS: whole(1, 60_000, 2000),
  REMIT_REPLICATION_FACTOR: whole(1, 100, 1),
});

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
  const { KAFKA_BROKERS, DATABASE_URL, HOST, PORT, LOG_LEVEL, REMIT_VIEW_WAIT_MS, REMIT_REPLICATION_FACTOR } =
    read.data;
  return {
    get kafkaBrokers() {
      return (
        KAFKA_BROKERS ?? missing('KAFKA_BROKERS', 'is not set; it names the brokers as host:port, several with commas')
      );
    },
    get databaseUrl() {
      return DATABASE_URL ?? missing('DATABASE_URL', 'is not set; it is postgres://user:password@host:port/database');
    },
    host: HOST,
    port: PORT,
    logLevel: LOG_LEVEL,
    viewWaitMs: REMIT_VIEW_WAIT_MS,
    replicationFactor: REMIT_REPLICATION_FACTOR,
  };
}

function missing(variable: string, message: string): never {
  throw new ConfigError([{ code: 'REMIT_CONFIG_MISSING', variable, message }]);
}

/** {@link readConfig} of this process's own environment. */
export function loadConfig(): Config {
  return readConfig(process.env);
}
