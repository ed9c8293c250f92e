import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  agentSchema,
  evolveAuthority,
  hygieneFindings,
  permissionEventSchema,
  type AgentAuthority,
  type PermissionEvent,
} from '#domain';

const timeSchema = z
  .string()
  .regex(/^\d\d:\d\d$/)
  .transform((time) => new Date(`2026-01-05T${time}:00Z`));

const caseSchema = z.strictObject({
  case: z.string(),
  agents: z.record(z.string(), agentSchema.omit({ scope: true })),
  grants: z
    .array(
      z.strictObject({
        id: z.string(),
        of: z.string().optional(),
        from: timeSchema,
        to: timeSchema,
        uses: z.int().optional(),
        taken: z.int().default(0),
        break_glass: z.literal(true).optional(),
      }),
    )
    .default([]),
  requests: z.array(z.strictObject({ id: z.string(), at: timeSchema, wait: timeSchema })).default([]),
  finds: z.array(z.record(z.string(), z.string())),
});
type Case = z.infer<typeof caseSchema>;

const text = readFileSync(join(import.meta.dirname, 'hygiene.yaml'), 'utf8');
const { about, cases } = z.strictObject({ about: z.string(), cases: z.array(caseSchema).min(1) }).parse(parse(text));

const NOW = Date.parse('2026-01-05T12:00:00Z');
const DIGEST = 'c'.repeat(64);
const PERMISSION = 'admin_access';

/** The events that would have led there, in the order of their times. */
function eventsOf({ grants, requests }: Case): PermissionEvent[] {
  const facts: { at: Date; fields: object }[] = [];
  for (const { id, at, wait } of requests) {
    const needs = [{ permission: PERMISSION, approvals: { count: 1, role: 'security' } }];
    const asked = { requestId: id, needs, durationMs: 1, uses: null, constraints: {}, charterDigest: DIGEST };
    facts.push({ at, fields: { event: 'PermissionRequested', ...asked, expiresAt: wait.toISOString() } });
  }
  for (const { id, of: requestId, from, to, uses = null, taken, break_glass: breakGlass } of grants) {
    const lent = {
      grantId: id,
      permission: PERMISSION,
      constraints: {},
      uses,
      approvedBy: ['sam'],
      charterDigest: DIGEST,
    };
    const more = { expiresAt: to.toISOString(), ...(requestId && { requestId }), ...(breakGlass && { breakGlass }) };
    facts.push({ at: from, fields: { event: 'PermissionGranted', ...lent, ...more } });
    for (let use = 1; use <= taken; use += 1) {
      const intentId = `01900000-0000-7000-8000-00000000000${String(use)}`;
      facts.push({ at: from, fields: { event: 'PermissionReserved', grantId: id, intentId, actionDigest: DIGEST } });
    }
  }
  return facts
    .sort((one, other) => one.at.getTime() - other.at.getTime())
    .map(({ at, fields }, index) =>
      permissionEventSchema.parse({
        agentId: 'clerk',
        version: index + 1,
        commandId: `c-${String(index)}`,
        by: 'sam',
        reason: 'as the case says',
        at: at.toISOString(),
        ...fields,
      }),
    );
}

describe(about, () => {
  it.each(cases)('$case', (one) => {
    const authority = eventsOf(one).reduce<AgentAuthority | undefined>(evolveAuthority, undefined);
    const scope = { actions: ['view'], systems: ['accounts'] };
    const agents = Object.fromEntries(Object.entries(one.agents).map(([id, agent]) => [id, { ...agent, scope }]));
    const authorities = new Map(authority === undefined ? [] : [['clerk', authority] as const]);
    const findings = hygieneFindings({ charter: { agents }, authorities, now: NOW });
    expect(findings).toEqual(one.finds.map((wanted) => expect.objectContaining(wanted) as unknown));
  });

  it('without a charter only what was lent is reviewed', () => {
    expect(hygieneFindings({ charter: undefined, authorities: new Map(), now: NOW })).toEqual([]);
  });
});
