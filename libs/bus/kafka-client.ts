import './kafkajs-repairs.js';
import net from 'node:net';
import tls from 'node:tls';
import type { KafkaSecurity } from '#config';
import kafkajs, { type ISocketFactory, type Kafka, type KafkaConfig, type LogEntry, type RetryOptions } from 'kafkajs';
import { BusError, messageOf, type BusLog } from './errors.js';
import { securedConnection } from './kafka-security.js';

/** How sockets to the brokers are opened, as kafkajs takes it. */
export type Connection = Pick<KafkaConfig, 'socketFactory'>;

/** Makes kafkajs clients that share nothing: two members of one group in one client would share their offsets. */
export type ClientFactory = (overrides?: Partial<KafkaConfig>, line?: Line) => Kafka;

/** The connections of one client, which can be cut all at once: kafkajs itself waits for what is in flight first. */
export class Line {
  readonly #sockets = new Set<net.Socket>();
  #isCut = false;

  /** Breaks every connection, and each that is opened later. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy(new Error('given up'));
  }

  /** Opens sockets as `open` does, on this line. */
  through(open: ISocketFactory): ISocketFactory {
    return (to) => {
      const socket = open(to);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.#isCut) socket.destroy(new Error('given up'));
      return socket;
    };
  }
}

/** Within one request: long enough for a change of leader, short enough to hand an outage to our own back-off. */
export const REQUEST_RETRY: RetryOptions = { initialRetryTime: 100, maxRetryTime: 1000, retries: 5 };

/** How long an answer is waited for, ms, where nothing else is said: brokers that are well take less, also on a busy machine. */
const REQUEST_TIMEOUT_MS = 10_000;

export function clientFactory(options: {
  brokers: readonly string[];
  clientId: string;
  security?: KafkaSecurity;
  connection?: Connection;
  log: BusLog;
  /** Whether what the client tells of its ordinary work is wanted. */
  reportsClient: boolean;
}): ClientFactory {
  const { tls: tlsOptions, sasl } = securedConnection(options.security ?? {});
  const factory = options.connection?.socketFactory ?? socketFactory(tlsOptions);
  return (overrides, line) =>
    new kafkajs.Kafka({
      brokers: [...options.brokers],
      clientId: options.clientId,
      connectionTimeout: 3000,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // what a connection needs is read when it is opened; to kafkajs it only says that there is TLS
      ...(tlsOptions === undefined ? {} : { ssl: true }),
      ...(sasl === undefined ? {} : { sasl }),
      retry: REQUEST_RETRY,
      logLevel: options.reportsClient ? kafkajs.logLevel.INFO : kafkajs.logLevel.ERROR,
      logCreator: () => (entry) => report(entry, options.log),
      ...options.connection,
      socketFactory: line === undefined ? factory : line.through(factory),
      ...overrides,
    });
}

const KEEP_ALIVE_MS = 60_000;

/** As kafkajs opens them, but small requests leave at once instead of waiting for the acknowledgement of the one before. */
const socketFactory =
  (tlsOptions: (() => tls.ConnectionOptions) | undefined): ISocketFactory =>
  ({ host, port, onConnect }) => {
    const name = net.isIP(host) === 0 ? { servername: host } : {};
    const socket =
      tlsOptions === undefined
        ? net.connect({ host, port }, onConnect)
        : tls.connect({ host, port, ...name, ...tlsOptions() }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.setNoDelay(true);
    // during an outage kafkajs ends the same dead socket again and again, and each time Node adds a listener to it
    socket.setMaxListeners(0);
    return socket;
  };

/** Parts of kafkajs whose errors reach us as exceptions: we report them ourselves, once and not per attempt. */
const REPORTED_BY_US: ReadonlySet<string> = new Set(['Connection', 'BrokerPool', 'Producer', 'Consumer', 'Runner']);

/** What kafkajs calls an error it tries again: to us a warning. What it does with its days is for debugging only. */
function report({ namespace, level, log }: LogEntry, to: BusLog): void {
  const isError = level === kafkajs.logLevel.ERROR;
  if (isError && REPORTED_BY_US.has(namespace)) return;
  const { message, groupId, topic, partition } = log as LogEntry['log'] & Record<string, unknown>;
  to({
    level: isError ? 'warn' : 'debug',
    code: 'REMIT_BUS_CLIENT',
    message,
    details: { namespace, groupId, topic, partition },
  });
}

/** The broker's own name for an error (`MESSAGE_TOO_LARGE` …), wherever kafkajs has wrapped it. */
export function brokerErrorOf(error: unknown): string | undefined {
  for (let inner: unknown = error; typeof inner === 'object' && inner !== null;) {
    if ('type' in inner && typeof inner.type === 'string') return inner.type;
    if ('errors' in inner && Array.isArray(inner.errors)) inner = inner.errors[0] as unknown;
    else inner = 'cause' in inner ? inner.cause : undefined;
  }
  return undefined;
}

const LOST_MEMBERSHIP: ReadonlySet<string | undefined> = new Set([
  'REBALANCE_IN_PROGRESS',
  'NOT_COORDINATOR_FOR_GROUP',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'FENCED_INSTANCE_ID',
]);

/** The group goes on without us until we join again: what we hold may already be somebody else's. */
export function isMembershipLost(error: unknown): boolean {
  return LOST_MEMBERSHIP.has(brokerErrorOf(error));
}

export function unreachable(what: string, error: unknown): BusError {
  return (
    accessProblem(what, error) ??
    new BusError(
      'REMIT_BUS_UNREACHABLE',
      `${what}: ${messageOf(error)}; check that the brokers run, that their address is right, and that KAFKA_TLS is true where they speak TLS and only there`,
      error,
    )
  );
}

/** The brokers do not know this client, or do not let it. Neither mends itself by trying again. */
export function accessProblem(what: string, error: unknown): BusError | undefined {
  if (isNotAuthenticated(error)) {
    const message = `${what}: the brokers do not accept these credentials; check KAFKA_SASL_… (mechanism, name, password or token)`;
    return new BusError('REMIT_BUS_NOT_AUTHENTICATED', message, error);
  }
  const kind = brokerErrorOf(error);
  if (kind?.endsWith('_AUTHORIZATION_FAILED') !== true) return undefined;
  const message = `${what}: the brokers do not let this principal (${kind}); deploy/kafka says which rights each process needs`;
  return new BusError('REMIT_BUS_NOT_ALLOWED', message, error);
}

function isNotAuthenticated(error: unknown): boolean {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    if (inner.name === 'KafkaJSSASLAuthenticationError') return true;
  }
  return false;
}
