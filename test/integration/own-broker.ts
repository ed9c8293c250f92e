import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/** What the start-up tools ask to be run. */
interface Command {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

interface Running {
  readonly exited: Promise<unknown>;
  readonly log: string;
}

/** What the start-up tools need of a run. */
interface ToolsRun {
  readonly folder: string;
  readonly fresh: boolean;
  start(what: Command): Running;
  stop(running: Running): Promise<void>;
}

interface KafkaTools {
  startKafka(run: ToolsRun, extras: BrokerExtras): Promise<string>;
  startKafkaCluster(run: ToolsRun, size: number): Promise<string[]>;
  clusterIn(data: string): string | undefined;
  answersAsKafka(port: number, clusterId: string): Promise<boolean>;
}

/** What a broker has besides the plain listener on loopback; see tools/backends/kafka.mjs. */
export interface BrokerExtras {
  readonly listeners?: readonly string[];
  readonly settings?: readonly string[];
  readonly format?: readonly string[];
}

/** One Kafka node, which may be stopped and started again on the same port and data. */
export interface OwnNode {
  readonly address: string;
  readonly port: number;
  readonly clusterId: string;
  /** The file it logs to. */
  readonly log: string;
  /** As a machine that fails: no goodbye. */
  kill(): Promise<void>;
  /** Stands still with all its connections open (SIGSTOP), until {@link OwnNode.thaw}. */
  freeze(): void;
  thaw(): void;
  /** Resolves once it answers again. */
  start(): Promise<void>;
}

/** A single Kafka node that belongs to one spec. */
export interface OwnBroker extends OwnNode {
  readonly remove: () => Promise<void>;
}

/** Several Kafka nodes that belong together, and to one spec. */
export interface OwnCluster {
  readonly addresses: readonly string[];
  readonly nodes: readonly OwnNode[];
  readonly remove: () => Promise<void>;
}

const ROOT = join(import.meta.dirname, '../..').replace(/[/\\]dist$/, '');

/** Starts a broker of its own. Throws what the start-up tools throw when Java or Maven is missing. */
export async function startOwnBroker(extras: BrokerExtras = {}): Promise<OwnBroker> {
  const { nodes, remove } = await startOwn(async (tools, run) => [await tools.startKafka(run, extras)]);
  const [node] = nodes;
  if (node === undefined) throw new Error('no broker');
  return { ...node, remove };
}

/** Starts a cluster of its own. Throws what the start-up tools throw when Java or Maven is missing. */
export function startOwnCluster(size: number): Promise<OwnCluster> {
  return startOwn((tools, run) => tools.startKafkaCluster(run, size));
}

async function startOwn(begin: (tools: KafkaTools, run: ToolsRun) => Promise<string[]>): Promise<OwnCluster> {
  const tools = (await import(pathToFileURL(join(ROOT, 'tools/backends/kafka.mjs')).href)) as KafkaTools;
  const folder = await mkdtemp(join(tmpdir(), 'remit-own-broker-'));
  const processes = new Map<string, NodeProcess>();
  const addresses = await begin(tools, {
    folder,
    fresh: true,
    start: (what) => {
      const log = join(folder, `${what.name}.log`);
      const node = new NodeProcess(what, log);
      processes.set(what.name, node);
      return { exited: node.run(), log };
    },
    stop: (running) => killed([...processes.values()].filter(({ log }) => log === running.log)),
  });
  const nodes = [...processes].map(([name, node], index): OwnNode => {
    const address = addresses[index] ?? '';
    const port = Number(new URL(`kafka://${address}`).port);
    const clusterId = tools.clusterIn(join(folder, name)) ?? '';
    return {
      address,
      port,
      clusterId,
      log: node.log,
      kill: () => node.kill(),
      freeze: () => node.signal('SIGSTOP'),
      thaw: () => node.signal('SIGCONT'),
      async start() {
        void node.run();
        while (!(await tools.answersAsKafka(port, clusterId))) {
          if (node.hasEnded()) throw new Error(`the broker did not start again: ${await readFile(node.log, 'utf8')}`);
          await sleep(50);
        }
      },
    };
  });
  return {
    addresses,
    nodes,
    async remove() {
      await killed([...processes.values()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function killed(nodes: readonly NodeProcess[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill()));
}

class NodeProcess {
  #child: ChildProcess | undefined;

  constructor(
    private readonly what: Command,
    readonly log: string,
  ) {}

  run(): Promise<unknown> {
    const sink = openSync(this.log, 'a');
    this.#child = spawn(this.what.command, this.what.args, { stdio: ['ignore', sink, sink] });
    closeSync(sink);
    return once(this.#child, 'exit');
  }

  hasEnded(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    if (this.#child === undefined || this.hasEnded()) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
