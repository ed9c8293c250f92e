import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clearInterval, setInterval } from 'node:timers';
import { SetupFailure, say } from '../failure.mjs';
import { lastLines } from '../processes.mjs';
import { cached, putIntoCache } from './cache.mjs';

/**
 * Commands of a Go module, at a version and with contents that are pinned here; the module's own `go.sum` pins what it
 * is made of.
 *
 * @typedef {object} GoCommands
 * @property {string} title for people
 * @property {string} name of its folder in the cache
 * @property {string} module
 * @property {string} version
 * @property {string} sum of the module's files, as `go.sum` writes it
 * @property {string} modSum of its go.mod
 * @property {string[]} commands their packages below the module
 * @property {string[]} tags build tags
 * @property {string} takes how long a cold build takes
 */

const STILL_BUILDING_MS = 60_000;
/** What Go says when it cannot reach where modules come from; anything else that goes wrong is a failure of ours. */
const UNREACHABLE =
  /dial tcp|no such host|i\/o timeout|connection (refused|reset)|network is unreachable|TLS handshake|context deadline|proxyconnect|GOPROXY=off|: (4\d\d|5\d\d) [A-Z]|unexpected EOF/;

/** Whether there is a Go to build with. */
export function hasGo() {
  return spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0;
}

/**
 * The folder with the commands, built once per user and version: afterwards nothing is fetched.
 *
 * Throws `REMIT_SETUP_NO_GO`, `REMIT_SETUP_GO_NOT_FETCHED` when the modules cannot be reached, and
 * `REMIT_SETUP_GO_NOT_BUILT`.
 *
 * @param {GoCommands} wanted
 * @returns {Promise<string>}
 */
export async function goCommands(run, wanted) {
  const { sum, commands, tags } = wanted;
  const fingerprint = createHash('sha256').update(JSON.stringify({ sum, commands, tags })).digest('hex').slice(0, 12);
  const name = `${wanted.name}-${wanted.version}-${fingerprint}`;
  const kept = cached(name);
  if (kept !== undefined) return kept;
  if (!hasGo()) {
    throw new SetupFailure(
      'REMIT_SETUP_NO_GO',
      `Go is missing; ${wanted.title} is built with it, once. Install Go 1.26 or newer and try again`,
    );
  }
  say(`${wanted.title}: building ${wanted.version} with Go (once; ${wanted.takes} on two cores)`);
  const started = performance.now();
  const progress = setInterval(() => {
    say(`${wanted.title}: still building (${Math.round((performance.now() - started) / 60_000)} min)`);
  }, STILL_BUILDING_MS);
  const folder = join(run.folder, `go-${wanted.name}`);
  try {
    // a run that keeps its state may have been interrupted while it built
    rmSync(folder, { recursive: true, force: true });
    const built = await build(run, wanted, folder);
    say(`${wanted.title}: built (${Math.round((performance.now() - started) / 1000)} s)`);
    return putIntoCache(name, (draft) => cpSync(built, draft, { recursive: true }));
  } finally {
    clearInterval(progress);
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Builds in a scratch module that has the go.mod and go.sum of the wanted one: `go install` refuses modules that
 * replace others, and so their checksums need not be looked up anew.
 */
async function build(run, wanted, folder) {
  mkdirSync(folder, { recursive: true });
  const { module, version, sum, modSum } = wanted;
  const go = goIn(run, wanted, folder);

  const said = await go(['mod', 'download', '-json', `${module}@${version}`], { GONOSUMDB: module });
  const { Dir, Sum, GoModSum } = JSON.parse(said.slice(said.indexOf('{'), said.lastIndexOf('}') + 1));
  if (Sum !== sum || GoModSum !== modSum) {
    throw new SetupFailure(
      'REMIT_SETUP_GO_NOT_BUILT',
      `${module}@${version} is not what was pinned: ${Sum} and ${GoModSum}, not ${sum} and ${modSum}. ` +
        'Where Go gets its modules from (go env GOPROXY) cannot be trusted',
    );
  }
  // written anew: files of the module cache are write-protected, and copies would be too
  writeFileSync(join(folder, 'go.mod'), readFileSync(join(Dir, 'go.mod')));
  writeFileSync(
    join(folder, 'go.sum'),
    `${readFileSync(join(Dir, 'go.sum'), 'utf8')}${module} ${version} ${sum}\n${module} ${version}/go.mod ${modSum}\n`,
  );
  await go(['mod', 'edit', `-module=remit.local/${wanted.name}`, `-require=${module}@${version}`]);

  const packages = wanted.commands.map((command) => `${module}/${command}`);
  const tags = `-tags=${wanted.tags.join(',')}`;
  await go(['list', '-deps', '-mod=mod', tags, ...packages]);
  const out = join(folder, 'out');
  mkdirSync(out);
  await go(['build', '-mod=mod', '-trimpath', tags, '-ldflags=-s -w', '-o', `${out}/`, ...packages]);
  return out;
}

/** Runs Go in a folder, as a process of the run. Resolves with what it printed. */
function goIn(run, { title, name }, folder) {
  let step = 0;
  return async (args, env = {}) => {
    step += 1;
    const log = `${name}-${step}.log`;
    const go = run.start({
      name: `go ${args[0]}`,
      command: 'go',
      args,
      cwd: folder,
      // a compiler that seldom collects garbage takes more memory and less time
      env: { ...process.env, GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0', GOGC: '400', ...env },
      log,
    });
    const { code } = await go.exited;
    run.forget(go);
    if (code === 0) return readFileSync(go.log, 'utf8');
    const said = lastLines(go.log);
    throw UNREACHABLE.test(said)
      ? new SetupFailure(
          'REMIT_SETUP_GO_NOT_FETCHED',
          `Go could not fetch what ${title} is built from; check its proxy (go env GOPROXY) and try again:\n${said}`,
        )
      : new SetupFailure('REMIT_SETUP_GO_NOT_BUILT', `${title} could not be built (go ${args[0]}):\n${said}`);
  };
}
