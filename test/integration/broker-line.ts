import { connect, createServer, type Socket } from 'node:net';
import type { ISocketFactory } from 'kafkajs';

/** Requests of Kafka's protocol that a line can answer in the broker's place, by their API key. */
export const JOIN_GROUP = 11;
export const HEARTBEAT = 12;

/** Errors of Kafka's protocol. */
export const COORDINATOR_LOAD_IN_PROGRESS = 14;
export const NOT_COORDINATOR = 16;
export const UNKNOWN_MEMBER_ID = 25;

/** What becomes of requests of one kind, as long as there are any left in `times`. */
interface Fault {
  readonly apiKey: number;
  /** The error code of the answer; `swallowed`: the broker never hears of it; `lost`: its answer does not arrive. */
  readonly what: number | 'swallowed' | 'lost';
  /** Requests of this kind that go well before it happens. */
  after: number;
  times: number;
}

/** The way from one process to a broker, on which single requests meet with an accident. */
export interface BrokerLine {
  /** Leads every connection here, whatever address the brokers tell of themselves. */
  readonly socketFactory: ISocketFactory;
  /** The next requests of this kind are answered with this error, as a broker answers that has just restarted. */
  refuse(apiKey: number, error: number, times?: number): void;
  /** The next requests of this kind get no answer, and do not reach the broker. */
  swallow(apiKey: number, times?: number): void;
  /** The next request of this kind, behind `after` others, reaches the broker, and its answer gets lost. */
  lose(apiKey: number, after?: number): void;
  /** Everything reaches the broker from now on. */
  relent(): void;
  /** Every fault has happened as often as it was to happen. */
  allHappened(): boolean;
  close(): Promise<void>;
}

export async function openBrokerLine(broker: string): Promise<BrokerLine> {
  const target = new URL(`kafka://${broker}`);
  const faults: Fault[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    /** Correlation ids of requests whose answers get lost. */
    const lost = new Set<number>();
    onFrame(far, (frame) => {
      if (!lost.delete(frame.readInt32BE(4))) near.write(frame);
    });
    onFrame(near, (frame) => {
      const apiKey = frame.readInt16BE(4);
      const fault = faults.find((one) => one.apiKey === apiKey && one.times > 0);
      if (fault !== undefined && fault.after > 0) fault.after -= 1;
      else if (fault !== undefined) {
        fault.times -= 1;
        if (typeof fault.what === 'number') near.write(refusal(frame, fault.what));
        if (fault.what !== 'lost') return;
        lost.add(frame.readInt32BE(8));
      }
      far.write(frame);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    socketFactory: ({ onConnect }) => {
      const socket = connect(port, '127.0.0.1', onConnect);
      socket.setMaxListeners(0);
      return socket;
    },
    refuse: (apiKey, error, times = 1) => void faults.push({ apiKey, what: error, after: 0, times }),
    swallow: (apiKey, times = 1) => void faults.push({ apiKey, what: 'swallowed', after: 0, times }),
    lose: (apiKey, after = 0) => void faults.push({ apiKey, what: 'lost', after, times: 1 }),
    relent: () => void faults.splice(0),
    allHappened: () => faults.every(({ times }) => times === 0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Hands over what arrives, request by request or answer by answer. */
function onFrame(socket: Socket, take: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const frame = rest.subarray(0, 4 + rest.readInt32BE(0));
      rest = rest.subarray(frame.length);
      take(frame);
    }
  });
}

/** The answer of versions 2 to 5 of JoinGroup, and 1 to 3 of Heartbeat, with an error and nothing else in it. */
function refusal(request: Buffer, error: number): Buffer {
  const apiKey = request.readInt16BE(4);
  const correlationId = request.readInt32BE(8);
  const head = Buffer.alloc(14);
  head.writeInt32BE(correlationId, 4);
  head.writeInt16BE(error, 12);
  // no generation, no protocol, no leader, no member, no members
  const body =
    apiKey === JOIN_GROUP ? Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  const answer = Buffer.concat([head, body]);
  answer.writeInt32BE(answer.length - 4, 0);
  return answer;
}
