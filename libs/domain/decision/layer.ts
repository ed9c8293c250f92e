import type { Charter } from '../charter/charter.js';
import type { Intent } from '../intent/intent.js';
import type { AgentAuthority } from '../permission/authority.js';
import type { WhyNot } from '../permission/authority-queries.js';
import type { Finding, SecondRound, Verdict } from './decision.js';

/** Everything a layer may look at. The same input gives the same verdict, on every replica and in every replay. */
export interface JudgingInput {
  readonly intent: Intent;
  readonly actionDigest: string;
  /** ms since the epoch: the intent's place in the log, not a clock */
  readonly judgedAt: number;
  readonly charter: Charter;
  readonly authority: AgentAuthority;
  /** Grants a use of which could not be reserved for this intent, and why: they count as if they were not there. */
  readonly unavailable?: ReadonlyMap<string, WhyNot> | undefined;
  /** The agent to whose intent the proven causes lead back; left out: the cause is not proven, or there is none. */
  readonly provenFrom?: string | undefined;
  /** The intent was held before, and this is how its approval is found. */
  readonly secondRound?: SecondRound | undefined;
}

/** What a rule says, before stage and rollout say whether it counts. */
export interface RawFinding extends Pick<Finding, 'rule' | 'effect' | 'severity' | 'reason' | 'permission' | 'claims'> {
  /** Can be neither shadowed nor sampled. */
  readonly immutable?: true;
}

/** What a layer says of an intent. */
export interface LayerJudgement extends Pick<Verdict, 'passed' | 'facts'> {
  readonly findings: RawFinding[];
}
