import type { Verdict } from '../decision/decision.js';
import type { JudgingInput } from '../decision/layer.js';
import { authorises, type GrantConsidered } from './authority-queries.js';

/** How an agent comes to hold a permission, or which grants were looked at in vain. A fact of the verdict. */
export type PermissionHolding =
  | { readonly permission: string; readonly by: 'standing' }
  /** `mustReserve`: its uses are counted, and one must be set aside before the verdict leaves. */
  | { readonly permission: string; readonly by: 'grant'; readonly grantId: string; readonly mustReserve: boolean }
  | { readonly permission: string; readonly by: 'nothing'; readonly considered: readonly GrantConsidered[] };

/** By a grant that is valid for this intent, whatever the agent may always do. */
export function holdingByGrant(input: JudgingInput, permission: string): PermissionHolding {
  const { intent, actionDigest, judgedAt, charter, authority, unavailable } = input;
  const { digest: charterDigest, inList } = charter;
  const question = { permission, intent, actionDigest, judgedAt, charterDigest, inList, unavailable };
  const answer = authorises(authority, question);
  if (!answer.authorised) return { permission, by: 'nothing', considered: answer.considered };
  return { permission, by: 'grant', grantId: answer.grantId, mustReserve: answer.mustReserve };
}

/** By the charter's own word, or else by a grant. */
export function holdingOf(input: JudgingInput, permission: string): PermissionHolding {
  const standing = input.charter.agents.get(input.intent.agentId)?.permissions;
  return standing?.has(permission) === true ? { permission, by: 'standing' } : holdingByGrant(input, permission);
}

const NONE: readonly string[] = [];

/** The grants with counted uses that verdicts rest on, each once. */
export function limitedGrantsOf(verdicts: readonly Verdict[]): readonly string[] {
  let found: Set<string> | undefined;
  for (const { facts } of verdicts) {
    const holdings = facts['permissions'];
    if (!Array.isArray(holdings)) continue;
    for (const holding of holdings as readonly Partial<Record<string, unknown>>[]) {
      const { by, mustReserve, grantId } = holding;
      if (by === 'grant' && mustReserve === true && typeof grantId === 'string') (found ??= new Set()).add(grantId);
    }
  }
  return found === undefined ? NONE : [...found];
}
