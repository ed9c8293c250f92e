import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { requireDatabaseUrl } from '#testing';
import { floods } from './flood.js';
import { groups } from './groups.js';
import { restore } from './restore.js';
import { resultTable, type Played } from './result-table.js';
import { keepsPromises, type ChaosResult, type ScenarioGroup } from './scenario.js';

/** What `npm run chaos` plays, by the name `--only` takes. */
const GROUPS: Readonly<Record<string, ScenarioGroup>> = {
  groups,
  flood: floods,
  restore,
};

const progress = (line: string): void => void process.stderr.write(`${line}\n`);

// a frozen broker would outlive this program: whoever stops it stops all that it has started, which is in its group
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.on(signal, () => process.kill(-process.pid, 'SIGKILL'));

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    fault: { type: 'string' },
    repeat: { type: 'string', default: '1' },
    load: { type: 'string', default: String(availableParallelism()) },
    json: { type: 'boolean', default: false },
    logs: { type: 'string' },
  },
});

const MAX_REPEAT = 100;
const MAX_LOAD = 64;

function count(option: string, text: string, smallest: number, largest: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= smallest && value <= largest) return value;
  process.stderr.write(
    `--${option} takes a whole number from ${String(smallest)} to ${String(largest)}; not ${text}\n`,
  );
  process.exit(2);
}

const repeat = count('repeat', values.repeat, 1, MAX_REPEAT);
const tools = {
  progress: (line: string) => progress(`  ${line}`),
  databaseUrl: requireDatabaseUrl(),
  load: count('load', values.load, 0, MAX_LOAD),
  logs: values.logs,
};
const chosen = values.only?.split(',') ?? Object.keys(GROUPS);
const unknown = chosen.filter((name) => !Object.hasOwn(GROUPS, name));
if (unknown.length > 0) {
  process.stderr.write(`--only takes ${Object.keys(GROUPS).join(', ')}; not ${unknown.join(', ')}\n`);
  process.exit(2);
}
const { fault: part } = values;
const scenarios = chosen.flatMap((group) => {
  const all = GROUPS[group]?.scenarios ?? [];
  return all.filter(({ fault }) => part === undefined || fault.includes(part)).map((scenario) => ({ group, scenario }));
});

const NOTHING: ChaosResult = {
  intents: 0,
  lost: 0,
  contradictory: 0,
  wronglyAllowed: 0,
  failedClosed: 0,
  longestSilenceMs: 0,
  recoveryMs: undefined,
  memoryBytes: 0,
  broken: [],
};

const played: Played[] = [];
for (const [index, { group, scenario }] of scenarios.entries()) {
  const { fault } = scenario;
  progress(`[${String(index + 1)}/${String(scenarios.length)}] ${group}: ${fault}`);
  const results: ChaosResult[] = [];
  played.push({ group, fault, results });
  const done = (result: ChaosResult): void => {
    results.push(result);
    // over the last minute: this play, and whatever else the machine does
    const [loadAverage = 0] = loadavg();
    if (values.json) {
      process.stdout.write(`${JSON.stringify({ group, fault, time: results.length, ...result, loadAverage })}\n`);
    }
    const { intents, recoveryMs, broken } = result;
    const recovered = recoveryMs === undefined ? '' : `, works again after ${(recoveryMs / 1000).toFixed(1)} s`;
    const load = `load average ${loadAverage.toFixed(1)}`;
    progress(`  ${String(results.length)} of ${String(repeat)}: ${String(intents)} intents${recovered}; ${load}`);
    for (const sentence of broken) progress(`  BROKEN: ${sentence}`);
  };
  try {
    await scenario.play(tools, repeat, done);
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    done({ ...NOTHING, broken: [`the scenario could not be played to its end: ${reason}`] });
  }
}
if (!values.json) process.stdout.write(`${resultTable(played)}\n`);
const kept = played.length > 0 && played.every(({ results }) => results.length > 0 && results.every(keepsPromises));
process.exitCode = kept ? 0 : 1;
