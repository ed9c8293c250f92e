import type { CharterDocument } from '../charter/charter-document.js';
import type { Decision } from '../decision/decision.js';
import type { PermissionEvent } from '../permission/permission-events.js';

type PermissionGranted = Extract<PermissionEvent, { event: 'PermissionGranted' }>;

/** What an agent was meant for, by the charter it was judged by. */
export interface AgentScope {
  readonly owner: string | null;
  readonly purpose: string | null;
  readonly actions: readonly string[];
  readonly systems: readonly string[];
}

/** A grant, and the people behind it. */
export interface GrantBehind {
  readonly grantedBy: string;
  readonly approvedBy: readonly string[];
  readonly reason: string;
  readonly grantedAt: string;
  readonly expiresAt: string;
  readonly requestId: string | null;
  readonly breakGlass: boolean;
}

/**
 * A permission that a decision rested on. `grant: null`: the record does not hold the grant that the decision names, or,
 * with `erased`, it may be among those of this agent that were erased.
 */
export type AuthorityUsed =
  | { readonly permission: string; readonly by: 'charter' }
  | {
      readonly permission: string;
      readonly by: 'grant';
      readonly grantId: string;
      readonly grant: GrantBehind | null;
      readonly erased: boolean;
    };

/** What an agent could go by when an action of its was decided. `scope: null`: no charter known, or not in it. */
export interface ActionAuthority {
  readonly scope: AgentScope | null;
  readonly permissions: readonly AuthorityUsed[];
}

/** The same of an agent over several of its actions. */
export interface AgentAuthorityUsed extends ActionAuthority {
  readonly agentId: string;
}

function grantBehind(granted: PermissionGranted): GrantBehind {
  return {
    grantedBy: granted.by,
    approvedBy: granted.approvedBy,
    reason: granted.reason,
    grantedAt: granted.at,
    expiresAt: granted.expiresAt,
    requestId: granted.requestId ?? null,
    breakGlass: granted.breakGlass === true,
  };
}

/** What a decision says it rested on, in the facts of its verdicts. */
interface HeldFact {
  readonly permission: string;
  /** Undefined: a standing permission. */
  readonly grantId: string | undefined;
}

function heldFact(holding: unknown): HeldFact[] {
  if (typeof holding !== 'object' || holding === null) return [];
  const { permission, by, grantId } = holding as Partial<Record<string, unknown>>;
  if (typeof permission !== 'string') return [];
  if (by === 'standing') return [{ permission, grantId: undefined }];
  return by === 'grant' && typeof grantId === 'string' ? [{ permission, grantId }] : [];
}

/** Every permission a decision rested on, each once. */
export function permissionsBehind({ verdicts }: Pick<Decision, 'verdicts'>): readonly HeldFact[] {
  const held = new Map<string, HeldFact>();
  for (const { facts } of verdicts) {
    const holdings: unknown = facts['permissions'];
    if (!Array.isArray(holdings)) continue;
    for (const fact of holdings.flatMap(heldFact)) held.set(`${fact.permission}\n${fact.grantId ?? ''}`, fact);
  }
  return [...held.values()];
}

function scopeOf(agentId: string, charter: Pick<CharterDocument, 'agents'> | undefined): AgentScope | null {
  const agent = charter !== undefined && Object.hasOwn(charter.agents, agentId) ? charter.agents[agentId] : undefined;
  if (agent === undefined) return null;
  const { owner, purpose, scope } = agent;
  return {
    owner: owner ?? null,
    purpose: purpose ?? null,
    actions: [...scope.actions],
    systems: [...scope.systems],
  };
}

/**
 * The authority behind a decision: the scope by its charter, and the permissions its verdicts say they rest on. `erased`:
 * some grants of this agent were.
 */
export function actionAuthority(
  decision: Pick<Decision, 'agentId' | 'verdicts'>,
  charter: Pick<CharterDocument, 'agents'> | undefined,
  grants: readonly PermissionGranted[],
  erased: boolean,
): ActionAuthority {
  const { agentId } = decision;
  return {
    scope: scopeOf(agentId, charter),
    permissions: permissionsBehind(decision).map(({ permission, grantId }): AuthorityUsed => {
      if (grantId === undefined) return { permission, by: 'charter' };
      const granted = grants.find((grant) => grant.agentId === agentId && grant.grantId === grantId);
      const grant = granted === undefined ? null : grantBehind(granted);
      return { permission, by: 'grant', grantId, grant, erased: erased && grant === null };
    }),
  };
}

function nameOf(used: AuthorityUsed): string {
  return used.by === 'grant' ? `${used.permission}\n${used.grantId}` : used.permission;
}

/** The authorities with one more action of an agent's; the very same list when the action adds nothing. */
export function withAuthority(
  authorities: readonly AgentAuthorityUsed[],
  agentId: string,
  added: ActionAuthority,
): readonly AgentAuthorityUsed[] {
  const known = authorities.find((one) => one.agentId === agentId);
  if (known === undefined) return [...authorities, { agentId, ...added }];
  const names = new Set(known.permissions.map(nameOf));
  const fresh = added.permissions.filter((used) => !names.has(nameOf(used)));
  if (fresh.length === 0 && (known.scope !== null || added.scope === null)) return authorities;
  const joined = { agentId, scope: known.scope ?? added.scope, permissions: [...known.permissions, ...fresh] };
  return authorities.map((one) => (one === known ? joined : one));
}
