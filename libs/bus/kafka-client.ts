import './kafkajs-repairs.js';
import net from 'node:net';
import tls from 'node:tls';
import kafkajs, { type ISocketFactory, type Kafka, type KafkaConfig, type LogEntry, type RetryOptions } from 'kafkajs';
import { BusError, messageOf, type BusLog } from './errors.js';

/** How to reach the brokers: TLS, SASL and sockets, as kafkajs takes them. */
export type Connection = Pick<KafkaConfig, 'ssl' | 'sasl' | 'socketFactory'>;

/** Makes kafkajs clients that share nothing: two members of one group in one client would share their offsets. */
export type ClientFactory = (overrides?: Partial<KafkaConfig>) => Kafka;

/** Within one request: long enough for a change of leader, short enough to hand an outage to our own back-off. */
export const REQUEST_RETRY: RetryOptions = { initialRetryTime: 100, maxRetryTime: 1000, retries: 5 };

export function clientFactory(options: {
  brokers: readonly string[];
  clientId: string;
  connection?: Connection;
  log: BusLog;
  /** Whether what the client tells of its ordinary work is wanted. */
  reportsClient: boolean;
}): ClientFactory {
  return (overrides) =>
    new kafkajs.Kafka({
      brokers: [...options.brokers],
      clientId: options.clientId,
      connectionTimeout: 3000,
      socketFactory: openSocket,
      retry: REQUEST_RETRY,
      logLevel: options.reportsClient ? kafkajs.logLevel.INFO : kafkajs.logLevel.ERROR,
      logCreator: () => (entry) => report(entry, options.log),
      ...options.connection,
      ...overrides,
    });
}

const KEEP_ALIVE_MS = 60_000;

/** As kafkajs opens them, but small requests leave at once instead of waiting for the acknowledgement of the one before. */
const openSocket: ISocketFactory = ({ host, port, ssl, onConnect }) => {
  const name = net.isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl ? tls.connect({ host, port, ...name, ...ssl }, onConnect) : net.connect({ host, port }, onConnect);
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
  return new BusError(
    'REMIT_BUS_UNREACHABLE',
    `${what}: ${messageOf(error)}; check that the brokers run and that their address is right`,
    error,
  );
}
