import { evolveCharter, type CharterInForce } from '../charter/charter-in-force.js';
import type { CharterEvent } from '../charter/charter-events.js';
import type { RolloutMode, Stage } from '../charter/charter-document.js';
import { evolveAuthority, evolveUnreadable, hasGap, type AgentAuthority } from '../permission/authority.js';
import { grantsHeld } from '../permission/authority-queries.js';
import type { PermissionEvent } from '../permission/permission-events.js';
import { ROLLED_OUT_RULES } from '../decision/rules.js';
import type { AppendedAt } from './appended-at.js';
import type { Sha256 } from './digest.js';

/** The event that put something in force. */
export interface PutBy extends AppendedAt {
  readonly event: string;
  readonly by: string;
  readonly reason: string | null;
}

/** An event with its place. `undefined`: it cannot be read. */
export interface Placed<Event> extends AppendedAt {
  readonly event: Event | undefined;
}

/** The charter in force, with the event that activated it. */
export interface CharterState {
  readonly inForce: CharterInForce;
  readonly putBy: PutBy;
}

/** What applies after an event of `charter.events`. */
export function evolveCharterState(
  state: CharterState | undefined,
  placed: Placed<CharterEvent>,
  sha256: Sha256,
): CharterState | undefined {
  const { event } = placed;
  if (event === undefined) return state;
  const inForce = evolveCharter(state?.inForce, event, sha256);
  if (inForce === undefined || inForce === state?.inForce) return state;
  return { inForce, putBy: putByOf(placed, event.event, event.activatedBy, null) };
}

function putByOf(place: AppendedAt, event: string, by: string, reason: string | null): PutBy {
  const { topic, partition, offset, appendTime } = place;
  return { topic, partition, offset, appendTime, event, by, reason };
}

/** An agent's authority, and which event put each part of it there. */
export interface AuthorityState {
  readonly authority: AgentAuthority;
  readonly suspendedBy: PutBy | undefined;
  readonly reinstatedBy: PutBy | undefined;
  /** By grant id. */
  readonly granted: ReadonlyMap<string, PutBy>;
}

/** What an agent's authority is after one of its events. */
export function evolveAuthorityState(
  state: AuthorityState | undefined,
  placed: Placed<PermissionEvent>,
): AuthorityState {
  const { event } = placed;
  const before = state?.authority;
  const granted = state?.granted ?? new Map<string, PutBy>();
  const [suspendedBy, reinstatedBy] = [state?.suspendedBy, state?.reinstatedBy];
  if (event === undefined) return { authority: evolveUnreadable(before), suspendedBy, reinstatedBy, granted };
  const authority = evolveAuthority(before, event);
  if (authority === before) return { authority, suspendedBy, reinstatedBy, granted };
  const putBy = putByOf(placed, event.event, event.by, event.reason);
  switch (event.event) {
    case 'AgentSuspended':
      return { authority, suspendedBy: putBy, reinstatedBy: undefined, granted };
    case 'AgentReinstated':
      return { authority, suspendedBy: undefined, reinstatedBy: putBy, granted };
    case 'PermissionGranted': {
      // What the authority has forgotten is forgotten here too.
      const kept = [...granted].filter(([grantId]) => authority.grants.has(grantId));
      return { authority, suspendedBy, reinstatedBy, granted: new Map([...kept, [event.grantId, putBy]]) };
    }
    default:
      return { authority, suspendedBy, reinstatedBy, granted };
  }
}

/** Everything that was in force at a moment. */
export interface StateAt {
  /** ms since the epoch */
  readonly time: number;
  /** `undefined`: none was active, so everything was denied. */
  readonly charter: CharterState | undefined;
  readonly authorities: ReadonlyMap<string, AuthorityState>;
}

export interface CharterAt {
  readonly name: string;
  readonly digest: string;
  readonly stage: Stage;
  readonly text: string;
  readonly putBy: PutBy;
}

export function charterAt({ charter }: StateAt): CharterAt | undefined {
  if (charter === undefined) return undefined;
  const { inForce, putBy } = charter;
  const { name, digest, stage } = inForce.charter;
  return { name, digest, stage, text: inForce.text, putBy };
}

export interface AgentAt {
  readonly agentId: string;
  /** `unknown`: it has permission events but is in no charter. `uncertain`: some of its events are missing. */
  readonly standing: 'active' | 'suspended' | 'unknown' | 'uncertain';
  readonly owner: string | null;
  readonly purpose: string | null;
  readonly actions: readonly string[];
  readonly systems: readonly string[];
  /** The suspension, else the last reinstatement, else the charter that names the agent. */
  readonly putBy: PutBy | null;
}

function standingOf(isKnown: boolean, state: AuthorityState | undefined): AgentAt['standing'] {
  if (state !== undefined && hasGap(state.authority)) return 'uncertain';
  if (state?.authority.status === 'suspended') return 'suspended';
  return isKnown ? 'active' : 'unknown';
}

/** Every agent of the charter, and every other of which an event speaks, by name. */
export function agentsAt({ charter, authorities }: StateAt): AgentAt[] {
  const governed = charter?.inForce.charter.document.agents ?? {};
  const agentIds = [...new Set([...Object.keys(governed), ...authorities.keys()])].sort();
  return agentIds.map((agentId) => {
    const agent = Object.hasOwn(governed, agentId) ? governed[agentId] : undefined;
    const state = authorities.get(agentId);
    return {
      agentId,
      standing: standingOf(agent !== undefined, state),
      owner: agent?.owner ?? null,
      purpose: agent?.purpose ?? null,
      actions: [...(agent?.scope.actions ?? [])],
      systems: [...(agent?.scope.systems ?? [])],
      putBy: state?.suspendedBy ?? state?.reinstatedBy ?? (agent && charter?.putBy) ?? null,
    };
  });
}

/** A permission that an agent held: by the charter (`grantId: null`), or by a grant in force. */
export interface PermissionAt {
  readonly agentId: string;
  readonly permission: string;
  readonly grantId: string | null;
  readonly expiresAt: string | null;
  readonly remainingMs: number | null;
  readonly usesLeft: number | null;
  readonly approvedBy: readonly string[];
  readonly constraints: object;
  /** Suspended, or with events missing: the permission was there and counted for nothing. */
  readonly counted: boolean;
  readonly putBy: PutBy | null;
}

/** Every permission held, by agent. */
export function permissionsAt(state: StateAt): PermissionAt[] {
  const { time, charter, authorities } = state;
  const governed = charter?.inForce.charter.document.agents ?? {};
  const agentIds = [...new Set([...Object.keys(governed), ...authorities.keys()])].sort();
  return agentIds.flatMap((agentId) => {
    const agent = Object.hasOwn(governed, agentId) ? governed[agentId] : undefined;
    const known = authorities.get(agentId);
    const counted = known === undefined || (known.authority.status === 'active' && !hasGap(known.authority));
    const standing = (agent?.permissions ?? []).map((permission): PermissionAt => ({
      ...{ agentId, permission, grantId: null, expiresAt: null, remainingMs: null, usesLeft: null },
      ...{ approvedBy: [], constraints: {}, counted, putBy: charter?.putBy ?? null },
    }));
    const lent = grantsHeld(known?.authority, time).map(({ grant, remainingMs, usesLeft }): PermissionAt => ({
      ...{ agentId, permission: grant.permission, grantId: grant.grantId, remainingMs, usesLeft },
      expiresAt: new Date(grant.expiresAt).toISOString(),
      approvedBy: grant.approvedBy,
      constraints: grant.constraints,
      counted,
      putBy: known?.granted.get(grant.grantId) ?? null,
    }));
    return [...standing, ...lent];
  });
}

/** How a rule counted. */
export interface RolloutAt {
  readonly rule: string;
  /** `always`: boundaries can be neither shadowed nor switched off. */
  readonly mode: RolloutMode | 'always';
  /** For so many percent of the agents. */
  readonly percent: number;
  /** The entry of the charter's rollout that says so: the rule, or its severity; `null`: none, so it is enforced. */
  readonly because: string | null;
  /** The activation of the charter: modes come with it. */
  readonly putBy: PutBy;
}

/** Every rule of the charter that can be told by name, and how it counted. In stage `observe` none blocks anything. */
export function rolloutAt({ charter }: StateAt): RolloutAt[] {
  if (charter === undefined) return [];
  const { inForce, putBy } = charter;
  const { charter: rules } = inForce;
  const { boundaries, policies, rollout } = rules.document;
  const named = [...rules.requirements.map(({ rule }) => rule), ...ROLLED_OUT_RULES];
  const counted = (rule: string, severity?: string): RolloutAt => {
    const because = [rule, severity].find((key) => key !== undefined && Object.hasOwn(rollout, key)) ?? null;
    const entry = because === null ? undefined : rollout[because];
    const percent = (typeof entry === 'object' ? entry.percent : undefined) ?? 100;
    return { rule, mode: rules.modeOf(rule), percent, because, putBy };
  };
  return [
    ...boundaries.map(({ id }): RolloutAt => ({ rule: id, mode: 'always', percent: 100, because: null, putBy })),
    ...named.map((rule) => counted(rule)),
    ...policies.map(({ id, severity }) => counted(id, severity)),
  ];
}
