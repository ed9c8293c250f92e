import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the start-up tools ask to be run. */
interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

interface Running {
  readonly exited: Promise<unknown>;
  readonly log: string;
}

/** A single Kafka node that belongs to one spec, which may stop it and start it again on the same port and data. */
export interface OwnBroker {
  readonly address: string;
  readonly port: number;
  readonly clusterId: string;
  /** As a machine that fails: no goodbye. */
  kill(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

/** Starts a broker of its own. Throws what the start-up tools throw when Java or Maven is missing. */
export async function startOwnBroker(): Promise<OwnBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'remit-own-broker-'));
  const log = join(folder, 'kafka.log');
  let how: Command | undefined;
  let node: ChildProcess | undefined;

  function run({ command, args }: Command): Running {
    const sink = openSync(log, 'a');
    node = spawn(command, args, { stdio: ['ignore', sink, sink] });
    return { exited: once(node, 'exit'), log };
  }

  async function kill(): Promise<void> {
    if (node === undefined || node.exitCode !== null || node.signalCode !== null) return;
    const exited = once(node, 'exit');
    node.kill('SIGKILL');
    await exited;
  }

  const tools = (await import(new URL('../../tools/backends/kafka.mjs', import.meta.url).href)) as {
    startKafka(run: {
      folder: string;
      fresh: boolean;
      start(what: Command): Running;
      stop(running: Running): Promise<void>;
    }): Promise<string>;
    clusterIn(data: string): string | undefined;
    answersAsKafka(port: number, clusterId: string): Promise<boolean>;
  };
  const address = await tools.startKafka({
    folder,
    fresh: true,
    start: (what) => run((how = what)),
    stop: kill,
  });

  const clusterId = tools.clusterIn(join(folder, 'kafka')) ?? '';
  const port = Number(new URL(`kafka://${address}`).port);

  return {
    address,
    port,
    clusterId,
    kill,
    async start() {
      if (how !== undefined) run(how);
      while (!(await tools.answersAsKafka(port, clusterId))) {
        if (node?.exitCode !== null) throw new Error(`the broker did not start again: ${await readFile(log, 'utf8')}`);
        await sleep(50);
      }
    },
    async remove() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
