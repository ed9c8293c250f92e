import type { BatchHandler, Unreadable } from '#bus';
import { EVENTS, readEvent } from '#contracts';
import type { OutcomeReport } from '#domain';

/**
 * Follows `agent.outcomes`: a report that cannot be read, or is about another agent than its key, is a dead letter, as
 * an intent would be. `onReport` hears of all others; it may hear of one again, and must not throw.
 */
export function createOutcomeHandler(onReport: (report: OutcomeReport) => void): BatchHandler {
  return ({ messages }) => {
    const unreadable: Unreadable[] = [];
    for (const message of messages) {
      const reading = readEvent(EVENTS.outcome, message);
      if (!reading.ok) {
        unreadable.push({ message, code: reading.code, reason: reading.reason });
        continue;
      }
      const { data } = reading.event;
      if (message.key?.toString('utf8') === data.agentId) onReport(data);
      else {
        const reason = `the message key must be the agent's id, ${data.agentId}: nobody reports for another`;
        unreadable.push({ message, code: 'REMIT_OUTCOME_KEY_MISMATCH', reason });
      }
    }
    return Promise.resolve({ publish: [], unreadable });
  };
}
