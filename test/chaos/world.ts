import { spawn, type ChildProcess } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaBus } from '#bus';
import { TOPICS } from '#contracts';
import { activateCharterText, startApp, untilReady, type RunningApp } from '#testing';
import { startOwnCluster, type OwnCluster } from '../integration/own-broker.js';
import { createOwnDatabase, type OwnDatabase } from '../integration/own-database.js';
import type { ChaosTools } from './scenario.js';
import { Witness, WITNESS_CHARTER } from './witness.js';

/** A running system on brokers and a database of its own, with a witness and a load beside it. */
export interface World {
  readonly cluster: OwnCluster;
  readonly database: OwnDatabase;
  readonly witness: Witness;
  /** Where its processes keep what they have made up, such as the dev key. */
  readonly stateFolder: string;
  /** The processes of Remit; a scenario may end them and put others in their place. */
  readonly apps: RunningApp[];
  startAnother(): Promise<RunningApp>;
  /** Largest resident memory of any process of Remit so far, bytes. */
  memoryBytes(): Promise<number>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly brokers: 1 | 3;
  /** Made of the witness's own charter. */
  readonly charter?: (witness: string) => string;
  readonly env?: Readonly<Record<string, string>>;
}

export async function startWorld(tools: ChaosTools, options: WorldOptions): Promise<World> {
  const ends: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end().catch(() => undefined);
  };
  try {
    const cluster = await startOwnCluster(options.brokers);
    ends.push(() => cluster.remove());
    const database = await createOwnDatabase();
    ends.push(() => database.drop());
    const folder = await mkdtemp(join(tmpdir(), 'remit-chaos-'));
    ends.push(() => rm(folder, { recursive: true, force: true }));
    const load = startLoad(tools.load);
    ends.push(() => load());
    const stateFolder = join(folder, 'state');
    const env = {
      REMIT_REPLICATION_FACTOR: String(options.brokers),
      // as in production, not as tests have it
      REMIT_GROUP_SESSION_MS: '6000',
      REMIT_VIEW_WAIT_MS: '2000',
      REMIT_STATE_DIR: stateFolder,
      REMIT_RECORD_KEYS: join(folder, 'record-keys'),
      ...(tools.logs === undefined ? {} : { LOG_LEVEL: 'debug' }),
      ...options.env,
    };
    const apps: RunningApp[] = [];
    const { logs } = tools;
    const started: RunningApp[] = [];
    if (logs !== undefined) ends.push(() => keepLogs(logs, started, cluster));
    let largest = 0;
    const startAnother = async (): Promise<RunningApp> => {
      const app = await startApp('standalone', { brokers: cluster.addresses, databaseUrl: database.url }, env);
      apps.push(app);
      started.push(app);
      return app;
    };
    ends.push(() => Promise.all(apps.map((app) => app.stop('SIGKILL'))));
    await startAnother();
    const bus = new KafkaBus({
      brokers: cluster.addresses,
      topics: Object.values(TOPICS),
      replicationFactor: options.brokers,
    });
    await bus.ensureTopics(Object.values(TOPICS));
    await activateCharterText(bus, options.charter?.(WITNESS_CHARTER) ?? WITNESS_CHARTER);
    await bus.close();
    await untilReady(apps);
    const witness = new Witness(cluster.addresses);
    ends.push(() => witness.close());
    return {
      cluster,
      database,
      stateFolder,
      witness,
      apps,
      startAnother,
      async memoryBytes() {
        for (const { process } of apps) largest = Math.max(largest, await peakMemory(process));
        return largest;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One folder for each world, named after the moment at which it ended. */
async function keepLogs(logs: string, apps: readonly RunningApp[], cluster: OwnCluster): Promise<void> {
  const folder = join(logs, new Date().toISOString().replaceAll(':', ''));
  await mkdir(folder, { recursive: true });
  for (const [index, app] of apps.entries()) {
    await writeFile(join(folder, `${app.name}-${String(index + 1)}.log`), app.output());
  }
  for (const [index, { log }] of cluster.nodes.entries()) {
    await copyFile(log, join(folder, `kafka-${String(index + 1)}.log`));
  }
}

/** Processes that keep the cores busy. */
function startLoad(count: number): () => Promise<void> {
  const burners = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  return () => {
    for (const burner of burners) burner.kill('SIGKILL');
    return Promise.resolve();
  };
}

/** Peak resident memory of a process, bytes; 0 where it has ended or the system does not tell. */
async function peakMemory({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => '');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Polls until `holds`, at most so long, ms. The time it took, ms; undefined when it did not come to hold. */
export async function until(holds: () => Promise<boolean>, withinMs: number): Promise<number | undefined> {
  const began = performance.now();
  while (performance.now() - began < withinMs) {
    if (await holds().catch(() => false)) return performance.now() - began;
    await sleep(250);
  }
  return undefined;
}
