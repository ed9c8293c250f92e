import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { CHARTER_PROBLEM_CODES, compilePolicies, type PolicyVariables } from '#domain';

const fields = z.record(z.string(), z.unknown());
const casesSchema = z.strictObject({
  base: z.record(z.enum(['action', 'context', 'facts', 'agent']), fields),
  lists: z.record(z.string(), z.array(z.string())),
  evaluated: z.array(
    z.strictObject({
      title: z.string(),
      expression: z.string(),
      given: z.partialRecord(z.enum(['action', 'context', 'facts', 'agent']), fields).default({}),
      is: z.union([z.boolean(), z.string()]),
    }),
  ),
  refused: z.array(
    z.strictObject({
      title: z.string(),
      expression: z.string(),
      of: z
        .literal('objects_to')
        .optional()
        .describe('It says which values the policy objects to; else when it is violated.'),
      problems: z.array(z.strictObject({ code: z.string(), offset: z.int().optional(), hint: z.string().optional() })),
    }),
  ),
});
const { base, lists, evaluated, refused } = casesSchema.parse(
  parse(readFileSync(join(import.meta.dirname, 'expressions.yaml'), 'utf8')),
);

const compiled = (expression: string, of?: 'objects_to') => {
  const says = of === undefined ? { violated_when: expression } : { objects_to: { 'parameters.to': expression } };
  return compilePolicies([{ id: 'the-policy', severity: 'critical', effect: 'deny', reason: 'because', ...says }], {
    lists,
  });
};

describe('a condition says whether its policy is violated', () => {
  it.each(evaluated)('$title', ({ expression, given, is }) => {
    const compilation = compiled(expression);
    if (!compilation.ok) throw new Error(JSON.stringify(compilation.problems));
    const variables = {
      action: { ...base.action, ...given.action },
      context: { ...base.context, ...given.context },
      facts: { ...base.facts, ...given.facts },
      agent: { ...base.agent, ...given.agent },
    } as unknown as PolicyVariables;
    const occasion = { actionType: 'transfer', systems: ['ledger'], agentId: 'ledger-agent' };
    const { violated, passed } = compilation.programs.evaluate(occasion, variables);
    if (is === false) expect(passed).toEqual(['the-policy']);
    else expect(violated).toMatchObject([typeof is === 'string' ? { failed: is } : {}]);
    if (is === true) expect(violated[0]).not.toHaveProperty('failed');
  });
});

describe('a condition is refused at load, with its place and what to write instead', () => {
  it.each(refused)('$title', ({ expression, of, problems }) => {
    const compilation = compiled(expression, of);
    expect(compilation.ok).toBe(false);
    if (compilation.ok) return;
    expect(compilation.problems).toMatchObject(
      problems.map(({ code, offset, hint }) => ({
        policy: 'the-policy',
        code: `REMIT_CHARTER_EXPRESSION_${code}`,
        ...(offset === undefined ? {} : { offset }),
        ...(hint === undefined ? {} : { hint: expect.stringContaining(hint) }),
      })),
    );
  });

  it('for each of the reasons there are', () => {
    const shown = new Set(
      refused.flatMap(({ problems }) => problems.map(({ code }) => `REMIT_CHARTER_EXPRESSION_${code}`)),
    );
    const codes = CHARTER_PROBLEM_CODES.filter((code) => code.startsWith('REMIT_CHARTER_EXPRESSION_'));
    expect([...shown].sort()).toEqual([...codes].sort());
  });
});
