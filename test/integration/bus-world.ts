import net from 'node:net';
import tls from 'node:tls';
import type { ISocketFactory } from 'kafkajs';
import { KafkaBus, type KafkaBusOptions } from '#bus';
import { requireKafka, type BusProcess, type BusWorld } from '#testing';

/** The network between one process and the brokers. */
export interface Network {
  readonly socketFactory: ISocketFactory;
  /** Breaks every connection and refuses new ones. */
  readonly cut: () => void;
  readonly mend: () => void;
  /** From now on nothing that the brokers say on the present connections arrives; what we say does. */
  readonly deafen: () => void;
}

/** A port on which nobody listens: connecting to it fails at once. */
const NOBODY = 1;

export function network(): Network {
  const sockets = new Set<net.Socket>();
  let isCut = false;
  return {
    socketFactory: ({ host, port, ssl, onConnect }) => {
      const to = { host, port: isCut ? NOBODY : port };
      const socket = ssl ? tls.connect({ ...to, ...ssl }, onConnect) : net.connect(to, onConnect);
      // kafkajs ends a dead socket again and again, and each time Node adds a listener to it
      socket.setMaxListeners(0);
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      return socket;
    },
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy(new Error('the network is cut'));
    },
    mend() {
      isCut = false;
    },
    deafen() {
      for (const socket of sockets) socket.removeAllListeners('data');
    },
  };
}

/** Processes on the real brokers. A crashed one is never heard of again, not even when it tries to leave in order. */
export function kafkaWorld(brokers: readonly string[] = requireKafka()): BusWorld {
  const alive = new Set<KafkaBus>();
  const dead = new Set<KafkaBus>();
  return {
    connect(options: Partial<KafkaBusOptions>): BusProcess {
      const { socketFactory, cut } = network();
      const bus = new KafkaBus({ brokers, connection: { socketFactory }, ...options });
      alive.add(bus);
      return {
        bus,
        crash() {
          cut();
          alive.delete(bus);
          dead.add(bus);
        },
      };
    },
    async close() {
      await Promise.all([...alive, ...dead].map((bus) => bus.close()));
    },
  };
}
