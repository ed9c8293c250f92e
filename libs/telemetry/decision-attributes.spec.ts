import { describe, expect, it } from '@jest/globals';
import { sha256 } from '#contracts';
import { Map } from 'immutable';
import {
  actionDigestOf,
  checkCharter,
  INITIAL_AUTHORITY,
  judge,
  type AgentAuthority,
  type JudgingInput,
  type PermissionRequest,
} from '#domain';
import { decisionStatus, verdictEvents } from './decision-attributes.js';

const CHARTER = `
charter: persons
stage: enforce
decision_ttl: 30s
classifications: [public]
systems:
  ledger: { classification: public }
agents:
  payer: { owner: tests, purpose: pay, scope: { actions: [pay], systems: [ledger] } }
permissions:
  payment: { max_duration: 1h, approvals: { count: 1, role: finance } }
policies:
  - id: two-people
    severity: critical
    violated_when: 'true'
    effect: hold
    unless_granted: payment
    reason: payments need a second person
`;
const WORDS = 'because maria@shop.example\nasked (rejected by her bank)';

function inputOf(authority: AgentAuthority, secondRound?: { requestId: string }): JudgingInput {
  const checked = checkCharter(CHARTER, sha256);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  const action = { type: 'pay', target: 'ledger' };
  return {
    intent: { intentId: '019a1b2c-0000-7000-8000-000000000001', agentId: 'payer', action },
    actionDigest: actionDigestOf(action, sha256),
    judgedAt: 2000,
    charter: checked.charter,
    authority,
    secondRound,
  };
}

/** All that a trace says of a layer's verdict. */
function toldOf(layer: 'permission' | 'policy', input: JudgingInput): { events: unknown; message: string | undefined } {
  const verdict = judge(layer, input);
  const findings = verdict.findings.map((finding) => ({ ...finding, layer }));
  const facts = { decisionId: 'd', outcome: 'deny', wouldBe: 'deny', stage: 'enforce', charter: null } as const;
  return { events: verdictEvents(verdict), message: decisionStatus({ ...facts, findings }).message };
}

describe('what a trace says of a denial', () => {
  const rejected: PermissionRequest = {
    status: 'rejected',
    endedAt: 1500,
    rejectedBy: 'anna@bank.example',
    why: WORDS,
    requestId: 'r-1',
    needs: [],
    durationMs: 1000,
    uses: 1,
    constraints: {},
    charterDigest: 'c',
    basis: 'b',
    requestedBy: 'payer',
    requestedAt: 1000,
    reason: 'held',
    expiresAt: 9000,
    entries: [],
  };
  const afterRejection: AgentAuthority = { ...INITIAL_AUTHORITY, requests: Map({ 'r-1': rejected }) };

  it.each([
    [
      'that the agent is suspended',
      'permission',
      inputOf({ ...INITIAL_AUTHORITY, status: 'suspended', since: 1, by: 'anna@bank.example', reason: WORDS }),
      'permission/suspended: payer is suspended',
    ],
    [
      'that its approval was rejected',
      'permission',
      inputOf(afterRejection, { requestId: 'r-1' }),
      'permission/not-approved: its approval was rejected',
    ],
    [
      'why a need is still open',
      'policy',
      inputOf(afterRejection, { requestId: 'r-1' }),
      'policy/two-people: payments need a second person (its approval was rejected)',
    ],
  ] as const)('is %s, and not by whom or in which words', (_, layer, input, message) => {
    const told = toldOf(layer, input);
    expect(told.message).toBe(message);
    expect(JSON.stringify(told.events)).not.toMatch(/anna|maria|bank/);
  });
});
