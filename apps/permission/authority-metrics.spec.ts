import { describe, expect, it } from '@jest/globals';
import { Map } from 'immutable';
import { INITIAL_AUTHORITY, type AgentAuthority, type Grant, type PermissionRequest } from '#domain';
import { Metrics } from '#telemetry';
import { authorityFigures, countPublishingFailures, countRefusedRequests } from './authority-metrics.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const MINUTE_MS = 60_000;

function grant(grantId: string, endsInMs: number, of: Partial<Pick<Grant, 'uses' | 'used'>> = {}): Grant {
  return {
    ...{ grantId, permission: 'admin', constraints: {}, uses: null, used: 0, reservations: Map(), status: 'granted' },
    ...{ grantedAt: NOW - MINUTE_MS, expiresAt: NOW + endsInMs, grantedBy: 'ann', approvedBy: [], reason: 'r' },
    ...{ charterDigest: '0'.repeat(64), review: 'not needed' },
    ...of,
  };
}

function request(requestId: string, agedMs: number, leftMs: number, isHold = true): PermissionRequest {
  const held = {
    intentId: 'i',
    decisionId: 'd',
    actionDigest: 'a',
    intentDigest: 'b',
    chainId: 'c',
    rules: ['r'],
    source: { topic: 'agent.actions', partition: 0, offset: 0 },
    action: { type: 'update', target: 'ledger' },
  };
  return {
    ...{
      requestId,
      needs: [],
      durationMs: MINUTE_MS,
      uses: 1,
      constraints: {},
      charterDigest: '0'.repeat(64),
      basis: 'b',
    },
    ...{ requestedBy: 'agent', requestedAt: NOW - agedMs, reason: 'r', expiresAt: NOW + leftMs, entries: [] },
    ...(isHold ? { held } : {}),
    status: 'open',
  };
}

function authority(grants: readonly Grant[], requests: readonly PermissionRequest[] = []): AgentAuthority {
  return {
    ...INITIAL_AUTHORITY,
    grants: Map(grants.map((one) => [one.grantId, one])),
    requests: Map(requests.map((one) => [one.requestId, one])),
  };
}

describe('what is shown of authority', () => {
  it('is how many actions are held, how long the oldest has waited, and when the next runs out', () => {
    const ended: PermissionRequest = {
      ...request('ended', 9 * MINUTE_MS, -MINUTE_MS),
      status: 'expired',
      endedAt: NOW,
    };
    const waiting = [request('old', 5 * MINUTE_MS, 10 * MINUTE_MS), request('young', MINUTE_MS, 2 * MINUTE_MS)];
    const figures = authorityFigures(
      [authority([], [...waiting, ended]), authority([], [request('ask', 1, 1, false)])],
      NOW,
    );
    expect(figures).toMatchObject({
      holdsOpen: 2,
      oldestHold: NOW - 5 * MINUTE_MS,
      nextHoldEnd: NOW + 2 * MINUTE_MS,
    });
  });

  it('is which grants are in force: none that is over, recorded or not, and none without a use left', () => {
    const figures = authorityFigures(
      [
        authority([grant('soon', 14 * MINUTE_MS), grant('later', 60 * MINUTE_MS), grant('over', 0)]),
        authority([
          grant('spent', MINUTE_MS, { uses: 1, used: 1 }),
          grant('left', 30 * MINUTE_MS, { uses: 2, used: 1 }),
        ]),
      ],
      NOW,
    );
    expect(figures).toMatchObject({ grantsActive: 3, grantsExpiring: 1, nextGrantEnd: NOW + 14 * MINUTE_MS });
  });

  it('is how many agents are suspended, and nothing of what there is none of', () => {
    const suspended: AgentAuthority = { ...INITIAL_AUTHORITY, status: 'suspended', since: 1, by: 'ann', reason: 'r' };
    expect(authorityFigures([INITIAL_AUTHORITY, suspended], NOW)).toEqual({
      holdsOpen: 0,
      oldestHold: undefined,
      nextHoldEnd: undefined,
      grantsActive: 0,
      grantsExpiring: 0,
      nextGrantEnd: undefined,
      agentsSuspended: 1,
    });
  });
});

describe('requests that are refused and kept nowhere', () => {
  it('are counted by their reason, each of which is there from the start', async () => {
    const metrics = new Metrics({ service: 'spec', version: '1' });
    const refused = countRefusedRequests(metrics);
    refused('REMIT_PERMISSION_ASKED_TOO_OFTEN');
    refused('REMIT_PERMISSION_ASKED_TOO_OFTEN');
    const text = await metrics.scrape('openmetrics');
    expect(text).toMatch(/remit_requests_refused_total\{.*error_type="REMIT_PERMISSION_ASKED_TOO_OFTEN".*\} 2/);
    expect(text).toMatch(/remit_requests_refused_total\{.*error_type="REMIT_PERMISSION_TOO_MANY_OPEN".*\} 0/);
  });
});

describe('what the event store holds and nobody could publish', () => {
  it('is counted at each failure of the sweep, from zero on', async () => {
    const metrics = new Metrics({ service: 'spec', version: '1' });
    const failed = countPublishingFailures(metrics);
    expect(await metrics.scrape('openmetrics')).toMatch(/remit_publishing_failures_total(\{.*\})? 0/);
    failed();
    failed();
    expect(await metrics.scrape('openmetrics')).toMatch(/remit_publishing_failures_total(\{.*\})? 2/);
  });
});
