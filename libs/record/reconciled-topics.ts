import { TOPICS } from '#contracts';

/** The topics whose events must add up. */
export const RECONCILED_TOPICS = [
  TOPICS.agentActions.name,
  TOPICS.agentDecisions.name,
  TOPICS.agentOutcomes.name,
] as const;
