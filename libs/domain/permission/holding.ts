import type { Verdict } from '../decision/decision.js';
import type { JudgingInput } from '../decision/layer.js';
import type { AuthorityQuestion, GrantConsidered } from './authority-queries.js';
import { authorisesTogether } from './granted-values.js';
import type { Objection } from '../matching/action-places.js';
import { brokenInWords } from './permission-grants.js';

/** How an agent comes to hold a permission, or which grants were looked at in vain. A fact of the verdict. */
export type PermissionHolding =
  | { readonly permission: string; readonly by: 'standing' }
  /** `mustReserve`: its uses are counted, and one must be set aside before the verdict leaves. */
  | { readonly permission: string; readonly by: 'grant'; readonly grantId: string; readonly mustReserve: boolean }
  | { readonly permission: string; readonly by: 'nothing'; readonly considered: readonly GrantConsidered[] };

/** Whether a grant lets this intent do what needs the permission, as {@link authorisesTogether} is asked. */
export function questionOf(input: JudgingInput, permission: string): AuthorityQuestion {
  const { intent, actionDigest, judgedAt, charter, unavailable, provenFrom, secondRound } = input;
  const { digest: charterDigest, inList } = charter;
  const reEvaluationOf = secondRound?.requestId;
  return { permission, intent, actionDigest, judgedAt, charterDigest, inList, provenFrom, unavailable, reEvaluationOf };
}

/** Held by grants that are valid for this intent, whatever the agent may always do; never empty. */
export function holdingsByGrant(
  input: JudgingInput,
  permission: string,
  objection?: Objection,
): readonly PermissionHolding[] {
  const question = questionOf(input, permission);
  const answer = authorisesTogether(input.authority, question, objection);
  if (!answer.authorised) return [{ permission, by: 'nothing', considered: answer.considered }];
  return answer.grants.map((used) => ({ permission, by: 'grant', ...used }));
}

/** By the charter's own word, or else by grants: for the whole intent, or for what a policy objects to. */
export function holdingsOf(
  input: JudgingInput,
  permission: string,
  objection?: Objection,
): readonly PermissionHolding[] {
  const standing = input.charter.agents.get(input.intent.agentId)?.permissions;
  if (standing?.has(permission) === true) return [{ permission, by: 'standing' }];
  return holdingsByGrant(input, permission, objection);
}

/** Whether the permission is held. */
export function isHeld(holdings: readonly PermissionHolding[]): boolean {
  return holdings.every(({ by }) => by !== 'nothing');
}

/** Why the grants there are do not do: "expired" is never told as "never granted". */
export function nearestMisses(holdings: readonly PermissionHolding[]): string {
  const reasons = new Set(
    holdings.flatMap((holding) => (holding.by === 'nothing' ? holding.considered.map(reasonOf) : [])),
  );
  return reasons.size === 0 ? '' : ` (its grants: ${[...reasons].join('; ')})`;
}

function reasonOf({ why, constraint, ...how }: GrantConsidered): string {
  return constraint === undefined ? why : `${why}: ${brokenInWords({ constraint, ...how })}`;
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
