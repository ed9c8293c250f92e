import { describe, expect, it } from '@jest/globals';
import { asksTooOften, evolveAuthority, INITIAL_AUTHORITY, usesLeft, type AgentAuthority } from './authority.js';
import type { PermissionEvent } from './permission-events.js';
import { ASK_INTERVAL_MS, MAX_ASKS_AT_ONCE, MAX_ENDED_REMEMBERED } from './permission-limits.js';
import { authorityToSnapshot } from './permission-snapshot.js';

const START = Date.UTC(2026, 0, 5, 9);
const DIGEST = 'a'.repeat(64);

type Fields = Partial<PermissionEvent> & Pick<PermissionEvent, 'event'> & Record<string, unknown>;

/** The events of one agent, a millisecond apart, numbered on. */
function* eventsOf(all: Iterable<Fields>, from = 0): Generator<PermissionEvent> {
  let version = from;
  for (const fields of all) {
    version += 1;
    const at = new Date(START + version).toISOString();
    const fact = { agentId: 'clerk', version, commandId: `c${String(version)}`, at, by: 'ann', reason: 'because' };
    yield { ...fact, ...fields } as PermissionEvent;
  }
}

function after(all: Iterable<Fields>, state: AgentAuthority = INITIAL_AUTHORITY): AgentAuthority {
  let reached = state;
  for (const event of eventsOf(all, state.version)) reached = evolveAuthority(reached, event);
  return reached;
}

function granted(grantId: string, uses: number | null = null): Fields {
  const expiresAt = new Date(START + 86_400_000).toISOString();
  const about = { permission: 'admin', constraints: {}, approvedBy: ['ann'], charterDigest: DIGEST };
  return { event: 'PermissionGranted', grantId, uses, expiresAt, ...about };
}

function requested(requestId: string): Fields {
  const needs = [{ permission: 'admin', approvals: { count: 1, role: 'security' } }];
  const expiresAt = new Date(START + 86_400_000).toISOString();
  const about = { durationMs: 60_000, uses: null, constraints: {}, charterDigest: DIGEST };
  return { event: 'PermissionRequested', requestId, needs, expiresAt, ...about };
}

function intentId(index: number): string {
  return `01900000-0000-7000-8000-${String(index).padStart(12, '0')}`;
}

function use(event: 'PermissionReserved' | 'PermissionUsed' | 'PermissionReleased', index: number): Fields {
  const decided = event === 'PermissionUsed' ? { decisionId: DIGEST } : {};
  return { event, grantId: 'often', intentId: intentId(index), actionDigest: DIGEST, ...decided };
}

function* uses(count: number): Generator<Fields> {
  for (let index = 0; index < count; index += 1) {
    yield use('PermissionReserved', index);
    yield use(index % 3 === 2 ? 'PermissionReleased' : 'PermissionUsed', index);
  }
}

const sizeOf = (state: AgentAuthority): number => JSON.stringify(authorityToSnapshot(state)).length;

describe('what is known of an agent', () => {
  it('holds of the uses of a grant a number and what is in flight, however many there were', () => {
    const few = after([granted('often', 1_000_000), ...uses(3)]);
    const many = after(uses(30_000), few);
    const grant = many.grants.get('often');
    expect(grant?.used).toBe(20_002);
    expect(grant && usesLeft(grant)).toBe(1_000_000 - 20_002);
    expect(sizeOf(many)).toBeLessThan(sizeOf(few) + 32);
    const inFlight = after([use('PermissionReserved', 7), use('PermissionReserved', 8)], many).grants.get('often');
    expect(inFlight?.reservations.size).toBe(2);
    expect(inFlight && usesLeft(inFlight)).toBe(1_000_000 - 20_004);
  });

  it('remembers a bounded number of what has ended, and forgets the oldest first', () => {
    const ended = MAX_ENDED_REMEMBERED + 200;
    const story = Array.from({ length: ended }, (_, index): Fields[] => [
      granted(`g${String(index)}`),
      { event: 'PermissionRevoked', grantId: `g${String(index)}` },
      requested(`r${String(index)}`),
      { event: 'PermissionRequestCancelled', requestId: `r${String(index)}` },
    ]).flat();
    const state = after([granted('valid'), requested('open'), ...story]);
    expect(state.grants.size).toBe(MAX_ENDED_REMEMBERED + 1);
    expect(state.requests.size).toBe(MAX_ENDED_REMEMBERED + 1);
    expect(state.alive).toEqual({ requests: 1, asked: 0, holds: 0, grants: 1 });
    expect(['valid', 'g199', 'g200'].map((id) => state.grants.has(id))).toEqual([true, false, true]);
    expect(['open', 'r199', 'r200'].map((id) => state.requests.has(id))).toEqual([true, false, true]);
  });

  it('keeps a grant past the approvals until someone has looked at it, however much has ended since', () => {
    const glass: Fields = { ...granted('glass'), breakGlass: true };
    const others = Array.from({ length: MAX_ENDED_REMEMBERED + 1 }, (_, index): Fields[] => [
      granted(`g${String(index)}`),
      { event: 'PermissionRevoked', grantId: `g${String(index)}` },
    ]).flat();
    const state = after([glass, { event: 'PermissionRevoked', grantId: 'glass' }, ...others]);
    expect(state.grants.has('glass')).toBe(true);
    const closed = after([{ event: 'PermissionReviewClosed', grantId: 'glass' }, ...others.slice(0, 2)], state);
    expect(closed.endedGrants.includes('glass')).toBe(true);
  });
});

describe('how often an agent may ask', () => {
  const ask = (index: number): Fields => ({
    ...requested(`agent:${String(index)}`),
    commandId: `agent:${String(index)}`,
  });
  const asks = (count: number): AgentAuthority => after(Array.from({ length: count }, (_, index) => ask(index)));

  it('is so many times in quick succession, and then once per interval', () => {
    expect(asksTooOften(asks(MAX_ASKS_AT_ONCE - 1), START + 100)).toBe(false);
    const full = asks(MAX_ASKS_AT_ONCE);
    expect(asksTooOften(full, START + 100)).toBe(true);
    expect(asksTooOften(full, START + ASK_INTERVAL_MS + 100)).toBe(false);
  });

  it('does not depend on what people order about the agent, nor on what it holds', () => {
    const ordered = after(Array.from({ length: 500 }, (_, index) => granted(`g${String(index)}`)));
    expect(ordered.askedUntil).toBe(0);
    expect(asksTooOften(ordered, START + 1000)).toBe(false);
  });
});
