import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { sha256 } from '#contracts';
import { canonicalJson } from '../record/canonical-json.js';
import { evolveAuthority, type AgentAuthority } from './authority.js';
import { permissionEventSchema } from './permission-events.js';
import {
  AUTHORITY_SNAPSHOT_FORMAT,
  authorityFromSnapshot,
  authoritySnapshotSchema,
  authorityToSnapshot,
} from './permission-snapshot.js';

/**
 * What the format names. When a test below fails, snapshots that are stored mean something else than what is read now:
 * give `AUTHORITY_SNAPSHOT_FORMAT` a new name, then record here what it names.
 */
const RECORDED = {
  format: 'authority/6',
  shape: '905bec9f61edbf8c276222fdd0160632e0e36a3910b0b7eefc689dce960594ef',
  story: '2da4f6bf3d4526b0e2f95d8b4758cabeab33dc3eb5c3536c9b23bba792aef847',
};

const DIGEST = 'a'.repeat(64);
const INTENT = '0193a3c0-0000-7000-8000-00000000000';
const LATER = '2026-11-04T12:00:00.000Z';
const APPROVALS = { count: 1, role: 'operations' };

const use = (grantId: string, intent: number) => ({
  grantId,
  intentId: `${INTENT}${String(intent)}`,
  actionDigest: DIGEST,
});
const request = (requestId: string, rest: Record<string, unknown> = {}) => ({
  event: 'PermissionRequested',
  ...{ requestId, needs: [{ permission: 'change', approvals: APPROVALS }], durationMs: 60_000, uses: 2 },
  ...{ constraints: { target: 'desk' }, charterDigest: DIGEST, basis: DIGEST, expiresAt: LATER, ...rest },
});
const granted = (grantId: string, rest: Record<string, unknown> = {}) => ({
  event: 'PermissionGranted',
  ...{ grantId, permission: 'change', constraints: {}, uses: 1, expiresAt: LATER },
  ...{ approvedBy: ['olga'], charterDigest: DIGEST, ...rest },
});

/** Every kind of event, and one that comes too early. */
const STORY: readonly Record<string, unknown>[] = [
  request('agent:1'),
  { event: 'PermissionApprovalEntered', requestId: 'agent:1', roles: ['operations'] },
  granted('agent:1#1', { requestId: 'agent:1', uses: 2 }),
  { event: 'PermissionReserved', ...use('agent:1#1', 1) },
  { event: 'PermissionReserved', ...use('agent:1#1', 2) },
  { event: 'PermissionUsed', ...use('agent:1#1', 1), decisionId: DIGEST },
  { event: 'PermissionReleased', ...use('agent:1#1', 2) },
  { event: 'PermissionReserved', ...use('agent:1#1', 3) },
  request('agent:2', { onBehalfOf: 'cora' }),
  { event: 'PermissionRejected', requestId: 'agent:2' },
  request('agent:3'),
  { event: 'PermissionRequestCancelled', requestId: 'agent:3', limit: 3 },
  request('agent:4'),
  { event: 'PermissionRequestSuperseded', requestId: 'agent:4', charterDigest: 'b'.repeat(64) },
  request('agent:5'),
  { event: 'PermissionRequestExpired', requestId: 'agent:5' },
  request('agent:6'),
  granted('grant-2', { uses: null, breakGlass: true }),
  { event: 'PermissionReviewClosed', grantId: 'grant-2' },
  granted('grant-3'),
  { event: 'PermissionExpired', grantId: 'grant-3' },
  granted('grant-4'),
  { event: 'PermissionRevoked', grantId: 'grant-4' },
  { event: 'PermissionRefused', command: 'RevokeGrant', code: 'REMIT_PERMISSION_GRANT_UNKNOWN', problem: 'none' },
  { event: 'AgentSuspended' },
  { event: 'AgentReinstated' },
  { event: 'AgentSuspended' },
];

function told(): AgentAuthority {
  const events = STORY.map((fact, index) =>
    permissionEventSchema.parse({
      ...{ agentId: 'clerk', version: index + 1, commandId: `command-${String(index)}` },
      ...{ at: new Date(Date.UTC(2026, 10, 3, 12) + index).toISOString(), by: 'sam', reason: 'a story', ...fact },
    }),
  );
  const early = permissionEventSchema.parse({ ...events.at(-1), version: STORY.length + 2 });
  const state = [...events, early].reduce<AgentAuthority | undefined>(evolveAuthority, undefined);
  if (state === undefined) throw new Error('a story has events');
  return state;
}

describe(`a snapshot of the format ${AUTHORITY_SNAPSHOT_FORMAT}`, () => {
  it('has the shape that was recorded under this name', () => {
    const shape = z.toJSONSchema(authoritySnapshotSchema, {
      override: ({ zodSchema, jsonSchema }) => {
        delete jsonSchema.description;
        // events have a schema of their own
        if (zodSchema === permissionEventSchema) delete jsonSchema.oneOf;
      },
    });
    expect({ format: AUTHORITY_SNAPSHOT_FORMAT, shape: sha256(canonicalJson(shape)) }).toEqual({
      format: RECORDED.format,
      shape: RECORDED.shape,
    });
  });

  it('says of the same events what was recorded under this name', () => {
    const snapshot = authorityToSnapshot(told());
    expect({ format: AUTHORITY_SNAPSHOT_FORMAT, story: sha256(canonicalJson(snapshot)) }).toEqual({
      format: RECORDED.format,
      story: RECORDED.story,
    });
  });

  it('is read back as the state that it was written of', () => {
    const snapshot = authorityToSnapshot(told());
    const read = authoritySnapshotSchema.parse(JSON.parse(JSON.stringify(snapshot)));
    expect(authorityToSnapshot(authorityFromSnapshot(read))).toEqual(snapshot);
  });
});
