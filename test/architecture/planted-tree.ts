import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The checkout, which is where jest runs. */
export const ROOT = process.cwd();

const NODE = process.execPath;
const DEPENDENCY_CRUISER = join(ROOT, 'node_modules', 'dependency-cruiser', 'bin', 'dependency-cruise.mjs');
const KNIP = join(ROOT, 'node_modules', 'knip', 'bin', 'knip.js');
const ESLINT = join(ROOT, 'node_modules', 'eslint', 'bin', 'eslint.js');

/** A small source tree of its own, for code that breaks rules. */
export class PlantedTree {
  readonly folder = mkdtempSync(join(tmpdir(), 'remit-planted-'));

  /** @param files contents by path; `package.json` and so on included */
  constructor(files: Readonly<Record<string, string>>) {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a tool in a folder and parses what it prints. A tool that finds something exits with another code than 0. */
async function jsonOf<Report>(folder: string, args: readonly string[]): Promise<Report> {
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
    execFile(NODE, [...args], { cwd: folder, maxBuffer: 64 * 1024 * 1024 }, (_, out, problems) => {
      resolve({ stdout: out, stderr: problems });
    });
  });
  try {
    return JSON.parse(stdout) as Report;
  } catch {
    throw new Error(`no report: ${stderr}${stdout.slice(0, 2000)}`);
  }
}

/** Violations of the import rules under a folder, as `rule: from → to`, sorted. */
export async function importViolations(folder: string): Promise<string[]> {
  const report = await jsonOf<{ summary: { violations: { from: string; to: string; rule: { name: string } }[] } }>(
    folder,
    [
      DEPENDENCY_CRUISER,
      '--config',
      join(ROOT, 'test', 'architecture', 'import-rules.mjs'),
      '--output-type',
      'json',
      'apps',
      'libs',
      'test',
      'tools',
    ],
  );
  return report.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`).sort();
}

/** What ESLint finds under a folder, as `path: rule`, sorted. */
export async function lintFindings(folder: string): Promise<string[]> {
  const report = await jsonOf<{ filePath: string; messages: { ruleId: string | null; message: string }[] }[]>(folder, [
    ESLINT,
    '--config',
    join(ROOT, 'eslint.config.mjs'),
    '--format',
    'json',
    '.',
  ]);
  return report
    .flatMap(({ filePath, messages }) =>
      messages.map(({ ruleId, message }) => `${filePath.slice(folder.length + 1)}: ${ruleId ?? message}`),
    )
    .sort();
}

const DEAD_CODE_KINDS = ['files', 'exports', 'types', 'dependencies', 'unlisted'] as const;

/** What Knip finds under a folder, as `path: kind name`, sorted. */
export async function deadCode(folder: string): Promise<string[]> {
  const { issues } = await jsonOf<{
    issues: ({ file: string } & Record<(typeof DEAD_CODE_KINDS)[number], { name: string }[]>)[];
  }>(folder, [KNIP, '--reporter', 'json']);
  return issues
    .flatMap((issue) =>
      DEAD_CODE_KINDS.flatMap((kind) => issue[kind].map(({ name }) => `${issue.file}: ${kind} ${name}`)),
    )
    .sort();
}
