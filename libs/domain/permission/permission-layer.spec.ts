import { describe, expect, it } from '@jest/globals';
import { sha256 } from '#contracts';
import { checkCharter } from '../charter/check-charter.js';
import { judge } from '../decision/judging.js';
import { evolveAuthority, evolveUnreadable, type AgentAuthority } from './authority.js';

const checked = checkCharter(
  'charter: c\nstage: enforce\nsystems: { desk: { classification: internal } }\n' +
    'agents: { clerk: { scope: { actions: [read], systems: [desk] } } }\n',
  sha256,
);
if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
const { charter } = checked;

describe('the permission layer', () => {
  it('denies everything while an event about the agent is missing, for it might have been a suspension', () => {
    const authority = evolveAuthority(undefined, {
      event: 'AgentReinstated',
      agentId: 'clerk',
      version: 2,
      commandId: 'command-2',
      at: '2026-11-03T12:00:00.000Z',
      by: 'security-officer',
      reason: 'the review found nothing',
    });
    const intent = {
      intentId: '01900000-0000-7000-8000-000000000001',
      agentId: 'clerk',
      action: { type: 'read', target: 'desk' },
    };
    const input = { intent, actionDigest: 'a'.repeat(64), judgedAt: Date.UTC(2026, 10, 3, 13), charter, authority };
    expect(judge('permission', input).findings).toMatchObject([{ rule: 'authority-unknown', enforced: true }]);
  });

  it('denies everything after an event that nobody can read, until the next one in order comes', () => {
    const fact = { agentId: 'clerk', at: '2026-11-03T12:00:00.000Z', by: 'security-officer', reason: 'a review' };
    const suspension = { ...fact, event: 'AgentSuspended', version: 1, commandId: 'command-1' } as const;
    const reinstatement = { ...fact, event: 'AgentReinstated', version: 2, commandId: 'command-2' } as const;
    const intent = {
      intentId: '01900000-0000-7000-8000-000000000001',
      agentId: 'clerk',
      action: { type: 'read', target: 'desk' },
    };
    const rulesWith = (authority: AgentAuthority): string[] => {
      const input = { intent, actionDigest: 'a'.repeat(64), judgedAt: Date.UTC(2026, 10, 3, 13), charter, authority };
      return judge('permission', input).findings.map(({ rule }) => rule);
    };
    const unknown = evolveUnreadable(evolveAuthority(undefined, suspension));
    expect(rulesWith(unknown)).toEqual(['suspended']);
    expect(rulesWith(evolveAuthority(unknown, suspension))).toEqual(['suspended']);
    expect(rulesWith(evolveAuthority(unknown, reinstatement))).toEqual([]);
    expect(rulesWith(evolveUnreadable(undefined))).toEqual(['authority-unknown']);
    expect(rulesWith(evolveAuthority(evolveUnreadable(undefined), reinstatement))).toEqual(['authority-unknown']);
  });
});
