import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const TOOLS = join(process.cwd(), 'tools');

/** Opens a run that starts a process which would go on for an hour, prints its pid, and then does as told. */
const script = (then: string, options = `{ name: 'demo', fresh: true }`): string => `
import { openRun } from ${JSON.stringify(join(TOOLS, 'run.mjs'))};
import { runCommand } from ${JSON.stringify(join(TOOLS, 'commands', 'command.mjs'))};
process.exitCode = await runCommand(process.argv[1], async ({ openRun, untilInterrupted }) => {
  const run = await openRun(${options});
  const backend = run.start({ name: 'backend', command: 'sleep', args: ['3600'] });
  console.log(backend.record.pid);
  ${then}
  return 0;
}, []);
`;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    // a process that has ended and waits to be collected answers signals still
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}

/** Resolves when the process is gone; the test's own limit bounds the wait. */
async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await sleep(20);
}

describe('the start-up', () => {
  let root: string;
  const started: ChildProcess[] = [];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'remit-start-up-'));
  });

  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  });

  /** Runs a script in the temporary checkout; resolves with it and the pid of its backend. */
  async function begin(source: string): Promise<{ child: ChildProcess; backend: number }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', source, root], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(child);
    const [printed] = (await once(child.stdout, 'data')) as [Buffer];
    return { child, backend: Number(printed.toString()) };
  }

  it('stops what it started when its work is done', async () => {
    const { child, backend } = await begin(script(''));
    const [code] = (await once(child, 'exit')) as [number];
    expect({ code, running: isRunning(backend) }).toEqual({ code: 0, running: false });
  });

  it('stops what it started when its work fails', async () => {
    const { child, backend } = await begin(script(`throw Object.assign(new Error(), { stack: '' });`));
    const [code] = (await once(child, 'exit')) as [number];
    expect({ code, running: isRunning(backend) }).toEqual({ code: 1, running: false });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops what it started on %s', async (signal, expected) => {
    const { child, backend } = await begin(script('await untilInterrupted();'));
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number];
    expect({ code, running: isRunning(backend) }).toEqual({ code: expected, running: false });
  });

  it('says that it stops, and what has stopped', async () => {
    const { child } = await begin(
      script('await untilInterrupted();', `{ name: 'start', fresh: true, announces: true }`),
    );
    let said = '';
    child.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString('utf8')));
    child.kill('SIGINT');
    await once(child, 'close');
    expect(said).toMatch(/^Stopping, newest first …\nStopped backend \(\d+ ms\)\n$/);
  });

  it('leaves nothing running when it is killed outright', async () => {
    const { child, backend } = await begin(script('await untilInterrupted();'));
    child.kill('SIGKILL');
    await gone(backend);
    expect(isRunning(backend)).toBe(false);
  });

  it('leaves running what it was told to leave running, until it is told to stop', async () => {
    const { child, backend } = await begin(script('run.keep();', `{ name: 'backends', fresh: false }`));
    await once(child, 'exit');
    expect(isRunning(backend)).toBe(true);
    const stop = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { stopKept } from ${JSON.stringify(join(TOOLS, 'run.mjs'))}; await stopKept(process.argv[1]);`,
      root,
    ]);
    await once(stop, 'exit');
    expect(isRunning(backend)).toBe(false);
  });

  it('removes the state of fresh runs, also of one that crashed before', async () => {
    const { child, backend } = await begin(script('await untilInterrupted();'));
    child.kill('SIGKILL');
    await gone(backend);
    const next = await begin(script(''));
    await once(next.child, 'exit');
    expect(readdirSync(join(root, '.remit', 'runs'))).toEqual([]);
  });

  it('never stops a process that merely has the number of one of its own', async () => {
    const stranger = spawn('sleep', ['3600'], { stdio: 'ignore' });
    started.push(stranger);
    const folder = join(root, '.remit', 'runs', 'demo-1');
    mkdirSync(folder, { recursive: true });
    const record = {
      name: 'demo',
      kept: false,
      owner: { pid: 2 ** 30, identity: 'long gone' },
      processes: [{ name: 'kafka', pid: stranger.pid, identity: 'an earlier life', stopSignal: 'SIGKILL' }],
      cleanups: [],
    };
    writeFileSync(join(folder, 'run.json'), JSON.stringify(record));
    const { child } = await begin(script(''));
    await once(child, 'exit');
    expect({ swept: !existsSync(folder), running: isRunning(stranger.pid ?? 0) }).toEqual({
      swept: true,
      running: true,
    });
  });

  it('keeps two fresh runs of one checkout apart', async () => {
    const first = await begin(script('await untilInterrupted();'));
    const second = await begin(script(''));
    await once(second.child, 'exit');
    expect(isRunning(first.backend)).toBe(true);
    first.child.kill('SIGTERM');
    await once(first.child, 'exit');
    expect(isRunning(first.backend)).toBe(false);
  });

  it('refuses a second user of the kept state and says what to do', async () => {
    const kept = `{ name: 'start', fresh: false }`;
    await begin(script('await untilInterrupted();', kept));
    const second = spawn(process.execPath, ['--input-type=module', '-e', script('', kept), root], { stdio: 'pipe' });
    started.push(second);
    let problems = '';
    second.stderr.on('data', (chunk: Buffer) => (problems += chunk.toString()));
    const [code] = (await once(second, 'close')) as [number];
    expect(code).not.toBe(0);
    expect(problems).toContain('REMIT_SETUP_STATE_IN_USE');
  });

  it('goes round a port that is busy, and says so', async () => {
    const busy = createServer();
    busy.listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const { port } = busy.address() as { port: number };
    const chooser = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { choosePort } from ${JSON.stringify(join(TOOLS, 'backends', 'ports.mjs'))};
         console.log(await choosePort('Kafka', ${String(port)}));`,
      ],
      { stdio: 'pipe' },
    );
    let chosen = '';
    let said = '';
    chooser.stdout.on('data', (chunk: Buffer) => (chosen += chunk.toString()));
    chooser.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(chooser, 'close');
    busy.close();
    expect(Number(chosen)).toBeGreaterThan(port);
    expect(said).toContain(`port ${String(port)} is busy`);
  });

  it('never gives one port to two processes, though neither listens yet', async () => {
    const busy = createServer();
    busy.listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const { port } = busy.address() as { port: number };
    const choosing = `import { freePort } from ${JSON.stringify(join(TOOLS, 'backends', 'ports.mjs'))};
      console.log(await freePort(${String(port)}));
      setInterval(() => undefined, 1000);`;
    const chosen = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', choosing], { stdio: 'pipe' });
        started.push(child);
        const [line] = (await once(child.stdout, 'data')) as [Buffer];
        return Number(line.toString());
      }),
    );
    busy.close();
    expect(new Set([port, ...chosen]).size).toBe(5);
  });

  it('gives a port again whose process was killed before it could say so', async () => {
    const choosing = `import { freePort } from ${JSON.stringify(join(TOOLS, 'backends', 'ports.mjs'))};
      console.log(await freePort(Number(process.argv[1])));
      process.kill(process.pid, 'SIGKILL');`;
    const choose = async (preferred: number): Promise<number> => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', choosing, String(preferred)]);
      let chosen = '';
      child.stdout.on('data', (chunk: Buffer) => (chosen += chunk.toString()));
      await once(child, 'close');
      return Number(chosen);
    };
    const first = await choose(28_500);
    expect(await choose(first)).toBe(first);
  });
});
