import {
  addNotReplayable,
  addReplay,
  emptyReport,
  replayDecision,
  type ReplayOptions,
  type ReplayReport,
} from '#domain';
import type { HistoryEntry } from './history.js';
import type { HistoryReading } from './history-reading.js';
import { recordedDecisions, type DecisionSelection } from './recorded-decisions.js';

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
  for await (const page of recordedDecisions(history, selection)) {
    for (const one of page) {
      if ('missing' in one) addNotReplayable(report, one.missing);
      else addReplay(report, one.at, one.recorded.decision, replayDecision(one.recorded, options));
    }
    const last = page.at(-1);
    if (last !== undefined) onPage(last.at);
  }
  return report;
}
