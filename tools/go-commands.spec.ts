import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const TOOLS = join(process.cwd(), 'tools');
const WANTED = {
  title: 'Example',
  name: 'example',
  module: 'example.org/example',
  version: 'v1.2.3',
  sum: 'h1:files',
  modSum: 'h1:mod',
  commands: ['cmd/example'],
  tags: ['small'],
  takes: 'a moment',
};

/** Prints the folder with the commands, or the code and message of the failure. */
const SCRIPT = `
import { openRun } from ${JSON.stringify(join(TOOLS, 'run.mjs'))};
import { goCommands } from ${JSON.stringify(join(TOOLS, 'backends', 'go-commands.mjs'))};
const run = await openRun(process.argv[1], { name: 'go', fresh: process.argv[3] !== 'kept' });
try {
  console.log(await goCommands(run, JSON.parse(process.argv[2])));
} catch (error) {
  console.log(error.code + ': ' + error.message);
} finally {
  await run.close();
}
`;

/** Does what Go would, to a module of one file. What the proxy answers lies in a file beside it. */
const GO = `#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/asked"
case "$1 $2" in
  'mod download') cat "$here/answer"; exit $(cat "$here/exit") ;;
  build*) while [ "$1" != -o ]; do shift; done; sleep 0.3; echo program > "$2example" ;;
esac
`;

describe('commands that are built from a Go module', () => {
  let folder: string;
  const go = (file: string): string => join(folder, 'bin', file);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'remit-go-'));
    for (const path of ['bin', 'module', 'checkout']) mkdirSync(join(folder, path));
    for (const file of ['go.mod', 'go.sum']) writeFileSync(join(folder, 'module', file), '');
    writeFileSync(go('go'), GO);
    chmodSync(go('go'), 0o755);
    proxyAnswers({ Dir: join(folder, 'module'), Sum: WANTED.sum, GoModSum: WANTED.modSum });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function proxyAnswers(answer: object, exit = 0): void {
    writeFileSync(go('answer'), JSON.stringify(answer));
    writeFileSync(go('exit'), String(exit));
  }

  async function commands(path = `${join(folder, 'bin')}:/usr/bin:/bin`, state = 'fresh'): Promise<string> {
    const args = ['--input-type=module', '-e', SCRIPT, join(folder, 'checkout'), JSON.stringify(WANTED), state];
    const child = spawn(process.execPath, args, {
      env: { PATH: path, XDG_CACHE_HOME: join(folder, 'cache') },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    await once(child, 'close');
    return printed.trim();
  }

  it('are built once, and then need neither Go nor a network', async () => {
    const built = await commands();
    expect(readFileSync(join(built, 'example'), 'utf8')).toBe('program\n');
    expect(dirname(built)).toBe(join(folder, 'cache', 'remit'));
    const asked = readFileSync(go('asked'), 'utf8');

    expect(await commands('/nowhere')).toBe(built);
    expect(readFileSync(go('asked'), 'utf8')).toBe(asked);
  });

  it('are built where an interrupted build has left its half, and leave none themselves', async () => {
    const state = join(folder, 'checkout', '.remit', 'state');
    mkdirSync(join(state, 'go-example', 'out'), { recursive: true });
    const built = await commands(undefined, 'kept');
    expect(readdirSync(built)).toEqual(['example']);
    expect(existsSync(join(state, 'go-example'))).toBe(false);
  });

  it('are put in place whole by two runs at the same time, and nothing is left lying about', async () => {
    const [one, other] = await Promise.all([commands(), commands()]);
    expect(one).toBe(other);
    expect(readdirSync(join(folder, 'cache', 'remit'))).toHaveLength(1);
    expect(readdirSync(String(one))).toEqual(['example']);
    expect(readdirSync(join(folder, 'checkout', '.remit', 'runs'))).toEqual([]);
  });

  it('are refused when the module is not the one that was pinned', async () => {
    proxyAnswers({ Dir: join(folder, 'module'), Sum: 'h1:other', GoModSum: WANTED.modSum });
    expect(await commands()).toMatch(/^REMIT_SETUP_GO_NOT_BUILT: .*is not what was pinned/);
    expect(readFileSync(go('asked'), 'utf8')).not.toContain('build');
    expect(existsSync(join(folder, 'cache'))).toBe(false);
  });

  it('cannot be had where modules cannot be reached, which is told apart from a failure to build', async () => {
    proxyAnswers({ Error: 'dial tcp 127.0.0.1:9: connect: connection refused' }, 1);
    expect(await commands()).toMatch(/^REMIT_SETUP_GO_NOT_FETCHED: /);
    proxyAnswers({ Error: 'SECURITY ERROR: checksum mismatch' }, 1);
    expect(await commands()).toMatch(/^REMIT_SETUP_GO_NOT_BUILT: /);
  });

  it('say that Go is missing where it is', async () => {
    expect(await commands('/nowhere')).toMatch(/^REMIT_SETUP_NO_GO: /);
  });
});
