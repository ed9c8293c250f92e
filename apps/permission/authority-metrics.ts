import { ASK_REFUSAL_CODES, usesLeft, type AgentAuthority, type AskRefusalCode } from '#domain';
import type { Views } from '#segment';
import { EXPIRING_WITHIN_MS, METRICS, reading, type Metrics, type Reading } from '#telemetry';

/** What is held, granted and suspended just now. Times in ms since the epoch; `undefined`: there is none. */
export interface AuthorityFigures {
  readonly holdsOpen: number;
  readonly oldestHold: number | undefined;
  readonly nextHoldEnd: number | undefined;
  readonly grantsActive: number;
  readonly grantsExpiring: number;
  readonly nextGrantEnd: number | undefined;
  readonly agentsSuspended: number;
}

const FRESH_MS = 1000;

/** All agents' authority, in figures. */
export function authorityFigures(authorities: Iterable<AgentAuthority>, now: number): AuthorityFigures {
  const heldAt: number[] = [];
  const holdEnds: number[] = [];
  const grantEnds: number[] = [];
  let agentsSuspended = 0;
  for (const authority of authorities) {
    if (authority.status === 'suspended') agentsSuspended += 1;
    for (const { status, held, requestedAt, expiresAt } of authority.requests.values()) {
      if (status !== 'open' || held === undefined) continue;
      heldAt.push(requestedAt);
      holdEnds.push(expiresAt);
    }
    for (const grant of authority.grants.values()) {
      if (grant.status === 'granted' && grant.expiresAt > now && usesLeft(grant) !== 0) grantEnds.push(grant.expiresAt);
    }
  }
  return {
    holdsOpen: heldAt.length,
    oldestHold: least(heldAt),
    nextHoldEnd: least(holdEnds),
    grantsActive: grantEnds.length,
    grantsExpiring: grantEnds.filter((end) => end - now <= EXPIRING_WITHIN_MS).length,
    nextGrantEnd: least(grantEnds),
    agentsSuspended,
  };
}

/** Counts requests that are refused and kept nowhere. Every reason is there from the start: the first step is seen. */
export function countRefusedRequests(metrics: Metrics): (code: AskRefusalCode) => void {
  const counter = metrics.counter(METRICS.requestsRefused);
  for (const code of ASK_REFUSAL_CODES) counter.add(0, { 'error.type': code });
  return (code) => counter.add(1, { 'error.type': code });
}

/** Counts failures to publish what a crash or an outage has left in the event store. */
export function countPublishingFailures(metrics: Metrics): () => void {
  const counter = metrics.counter(METRICS.publishingFailures);
  counter.add(0, {});
  return () => counter.add(1, {});
}

/** Shows the figures at every scrape. `now`: the clock of this process, which only says how old something is. */
export function observeAuthority(
  metrics: Metrics,
  { permissions }: Pick<Views, 'permissions'>,
  now: () => number,
): void {
  function* authorities(): Generator<AgentAuthority> {
    for (const agentId of permissions.openKeys()) {
      const authority = permissions.latest(agentId);
      if (authority !== undefined) yield authority;
    }
  }

  function readings(): Reading[] {
    const time = now();
    const figures = authorityFigures(authorities(), time);
    const { oldestHold, nextHoldEnd, nextGrantEnd } = figures;
    const seconds = (ms: number): number => Math.max(0, ms) / 1000;
    return [
      reading(METRICS.holdsOpen, figures.holdsOpen, {}),
      ...(oldestHold === undefined ? [] : [reading(METRICS.holdsAge, seconds(time - oldestHold), {})]),
      ...(nextHoldEnd === undefined ? [] : [reading(METRICS.holdsTimeLeft, seconds(nextHoldEnd - time), {})]),
      reading(METRICS.grantsActive, figures.grantsActive, {}),
      reading(METRICS.grantsExpiring, figures.grantsExpiring, {}),
      ...(nextGrantEnd === undefined ? [] : [reading(METRICS.grantsTimeLeft, seconds(nextGrantEnd - time), {})]),
      reading(METRICS.agentsSuspended, figures.agentsSuspended, {}),
    ];
  }

  metrics.observe('authority', readings, FRESH_MS);
}

function least(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : times.reduce((one, other) => Math.min(one, other));
}
