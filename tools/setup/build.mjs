import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { SetupFailure, say } from '../failure.mjs';

const SOURCE_FOLDERS = ['libs', 'apps', 'test', 'tools'];

/**
 * Translates the TypeScript of libs, apps, test and tools into dist/, folder by folder, with source maps. Only what
 * changed is done again; outputs whose source is gone are removed. Specs are left to jest.
 *
 * Throws `REMIT_SETUP_BUILD_FAILED`, naming every file that failed.
 */
export async function build(root) {
  const { transformFile, version } = await import('@swc/core');
  const dist = join(root, 'dist');
  const ledger = join(dist, '.built.json');
  const settings = `${version} ${readFileSync(join(root, '.swcrc'), 'utf8')}`;
  const before = readLedger(ledger, settings);
  const now = Object.fromEntries(sources(root).map((path) => [path, fingerprint(join(root, path))]));
  const changed = Object.keys(now).filter((path) => before[path] !== now[path]);
  const gone = Object.keys(before).filter((path) => now[path] === undefined);
  if (changed.length === 0 && gone.length === 0) return;
  const started = performance.now();
  for (const path of gone) for (const output of outputs(dist, path)) rmSync(output, { force: true });
  const failures = [];
  await Promise.all(
    changed.map(async (path) => {
      try {
        const { code, map } = await transformFile(join(root, path), { cwd: root, root, sourceMaps: true });
        const [script, sourceMap] = outputs(dist, path);
        mkdirSync(dirname(script), { recursive: true });
        replace(sourceMap, sourceMapFor(map, script, join(root, path)));
        replace(script, `${code}//# sourceMappingURL=${sourceMap.slice(sourceMap.lastIndexOf(sep) + 1)}\n`);
      } catch (error) {
        delete now[path];
        failures.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  );
  mkdirSync(dist, { recursive: true });
  replace(ledger, JSON.stringify({ settings, sources: now }));
  if (failures.length > 0) {
    throw new SetupFailure('REMIT_SETUP_BUILD_FAILED', `these files do not compile:\n${failures.join('\n')}`);
  }
  say(`Built ${changed.length} files (${Math.round(performance.now() - started)} ms)`);
}

function readLedger(path, settings) {
  try {
    const ledger = JSON.parse(readFileSync(path, 'utf8'));
    return ledger.settings === settings ? ledger.sources : {};
  } catch {
    return {};
  }
}

function sources(root) {
  return SOURCE_FOLDERS.flatMap((folder) => {
    try {
      return readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
    } catch {
      return [];
    }
  })
    .filter((entry) => entry.isFile() && /(?<!\.spec|\.d)\.ts$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes(`node_modules${sep}`))
    .sort();
}

function fingerprint(path) {
  const { mtimeMs, size } = statSync(path);
  return `${mtimeMs}/${size}`;
}

function outputs(dist, path) {
  const script = join(dist, path.replace(/\.ts$/, '.js'));
  return [script, `${script}.map`];
}

function sourceMapFor(map, script, source) {
  return JSON.stringify({ ...JSON.parse(map), sources: [relative(dirname(script), source)] });
}

/** Whole or not at all: another run may be loading the old file. */
function replace(path, text) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}
