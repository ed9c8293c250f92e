import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from './free-port.js';

/** The processes of Remit, by the folder of `apps` each lives in. */
export type AppName = 'boundary' | 'permission' | 'verifier' | 'policy' | 'audit' | 'standalone';

export interface RunningApp {
  readonly name: AppName;
  readonly port: number;
  readonly process: ChildProcess;
  /** Everything it has printed so far. */
  output(): string;
  /** The status of `/readyz`; 0 while nothing listens. */
  readyStatus(): Promise<number>;
  /** The status of `/livez`; 0 while nothing listens. */
  liveStatus(): Promise<number>;
  /** Resolves with the exit code once the process is gone; null when a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** What a process of Remit needs to know. */
export interface Backends {
  readonly brokers: readonly string[];
  readonly databaseUrl: string;
}

const ROOT = join(import.meta.dirname, '../..').replace(/[/\\]dist$/, '');

/** A process that stood still for seconds catches up before it judges, and denies nothing for that. */
const ON_ANY_MACHINE = { REMIT_VIEW_WAIT_MS: '60000', REMIT_GROUP_SESSION_MS: '10000' };

/** Starts one built app (`dist/apps/NAME/main.js`) as a process of its own, with a free HTTP port on loopback. */
export async function startApp(
  name: AppName,
  backends: Backends,
  env: Record<string, string> = {},
): Promise<RunningApp> {
  const port = await freePort();
  const child = spawn(process.execPath, ['--enable-source-maps', join(ROOT, 'dist/apps', name, 'main.js')], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      KAFKA_BROKERS: backends.brokers.join(','),
      DATABASE_URL: backends.databaseUrl,
      HOST: '127.0.0.1',
      PORT: String(port),
      ...ON_ANY_MACHINE,
      ...env,
    },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const statusOf = (path: string): Promise<number> =>
    fetch(`http://127.0.0.1:${String(port)}${path}`).then(
      (answer) => answer.status,
      () => 0,
    );
  return {
    name,
    port,
    process: child,
    output: () => Buffer.concat(chunks).toString('utf8'),
    readyStatus: () => statusOf('/readyz'),
    liveStatus: () => statusOf('/livez'),
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}

/** Waits until every app answers `/readyz` with 200. Throws with its output when one has ended or takes too long. */
export async function untilReady(apps: readonly RunningApp[], withinMs = 180_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const statuses = await Promise.all(apps.map((app) => app.readyStatus()));
    const waiting = apps.filter((_, index) => statuses[index] !== 200);
    if (waiting.length === 0) return;
    const lost = waiting.find((app) => app.process.exitCode !== null || app.process.signalCode !== null);
    if (lost !== undefined || performance.now() > deadline) {
      const app = lost ?? waiting[0];
      throw new Error(`${String(app?.name)} is not ready:\n${String(app?.output())}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
