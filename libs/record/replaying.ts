import {
  addNotReplayable,
  addReplay,
  emptyReport,
  replayDecision,
  type ReplayOptions,
  type ReplayReport,
} from '#domain';
import type { HistoryEntry, HistoryReading } from './history.js';
import {
  recordedDecisions,
  STRICT_READER,
  TRUSTING_READER,
  type DecisionOnRecord,
  type DecisionSelection,
} from './recorded-decisions.js';

/**
 * Decides every recorded decision of a selection again, in append order and constant memory, and adds what comes of it
 * to the report. `onPage` hears where to go on from, whenever the report is complete up to there.
 */
export async function replayRecord(
  history: HistoryReading,
  selection: DecisionSelection,
  options: ReplayOptions,
  report: ReplayReport = emptyReport(),
  onPage: (last: HistoryEntry) => void = () => undefined,
): Promise<ReplayReport> {
  // What equals a decision that this engine has just made itself is one, and needs no other check.
  const comparesBodies = options.candidate === undefined;
  const reader = comparesBodies ? TRUSTING_READER : STRICT_READER;
  for await (const page of recordedDecisions(history, selection, reader)) {
    for (const one of page) {
      if (comparesBodies && isIdentical(one, options)) {
        addReplay(report, one.at, one.recorded.decision, { standing: 'identical' });
      } else addStrictly(report, comparesBodies ? strictly(one) : one, options);
    }
    const last = page.at(-1);
    if (last !== undefined) onPage(last.at);
  }
  return report;
}

type WithFacts = Extract<DecisionOnRecord, { recorded: unknown }>;

function isIdentical(one: DecisionOnRecord, options: ReplayOptions): one is WithFacts {
  if (!('recorded' in one)) return false;
  try {
    return replayDecision(one.recorded, options).standing === 'identical';
  } catch {
    // Taken at its word, an entry may be anything.
    return false;
  }
}

/** The same, with its entries read as every reader of the log reads them. */
function strictly(one: DecisionOnRecord): DecisionOnRecord {
  if (!('recorded' in one)) return one;
  const { at, source, recorded } = one;
  const decision = STRICT_READER.decision(at);
  if (decision === undefined) return { at, missing: 'decision-unreadable' };
  const read = STRICT_READER.source(source);
  if (read === undefined) return { at, missing: 'intent-unreadable' };
  return { at, source, recorded: { ...recorded, decision, ...read } };
}

function addStrictly(report: ReplayReport, one: DecisionOnRecord, options: ReplayOptions): void {
  if ('missing' in one) addNotReplayable(report, one.missing);
  else addReplay(report, one.at, one.recorded.decision, replayDecision(one.recorded, options));
}
