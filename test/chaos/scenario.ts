/*
 * Chaos: faults played against a running system, beside an independent client that knows the expected outcome of every
 * intent it publishes.
 *
 * To add a group: a file of its own in this folder, named after the group, that exports a `ScenarioGroup`; its entry in
 * GROUPS of main.ts; its name in the help of `chaos` (tools/commands/help.mjs). A scenario
 *   1. starts what it needs with `startWorld` (brokers, a database and processes of its own, on loopback),
 *   2. lets a `Witness` publish, and injects its fault, bounded in time and count,
 *   3. returns what the witness `settle`d, with everything that broke a promise as a sentence in `broken`.
 * The runner repeats, prints the table, and exits with 1 where anything is lost, contradictory, wrongly allowed or broken.
 */

/** What one play of a scenario showed. */
export interface ChaosResult {
  /** Published and acknowledged. */
  readonly intents: number;
  /** Without an effective decision at the end. */
  readonly lost: number;
  /** With two final, valid decisions that differ in outcome. */
  readonly contradictory: number;
  /** Effectively allowed although they must be denied. */
  readonly wronglyAllowed: number;
  /** Effectively denied although they could have been allowed: fail closed, no broken promise. */
  readonly failedClosed: number;
  /** Longest time in which the broker appended no decision although an intent waited for one, ms. */
  readonly longestSilenceMs: number;
  /** From the end of the fault until everything works again, ms; undefined where the scenario has no such moment. */
  readonly recoveryMs: number | undefined;
  /** Largest resident memory that any process of Remit had, bytes. */
  readonly memoryBytes: number;
  /** Every promise that was broken, in a sentence each. */
  readonly broken: readonly string[];
}

export interface ChaosTools {
  /** A line for whoever waits. */
  progress(line: string): void;
  /** Servers that scenarios share; each scenario makes its own database. */
  readonly databaseUrl: string;
  /** Processes that do nothing but compute while the scenario runs. */
  readonly load: number;
  /** The folder for what every process logs, at level `debug`; undefined where nobody wants it. */
  readonly logs: string | undefined;
}

export interface ChaosScenario {
  /** The fault, as the table names it. */
  readonly fault: string;
  /** Plays the fault `times` times in a row and hands over each result as soon as it is there. */
  play(tools: ChaosTools, times: number, done: (result: ChaosResult) => void): Promise<void>;
}

export interface ScenarioGroup {
  readonly about: string;
  readonly scenarios: readonly ChaosScenario[];
}

/** Nothing was lost, contradicted, wrongly allowed or otherwise broken. */
export function keepsPromises(result: ChaosResult): boolean {
  return result.lost + result.contradictory + result.wronglyAllowed + result.broken.length === 0;
}
