import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { foldChain, outcomeSchema, renderChain, type ChainAction } from '#domain';
import { chainScriptSchema, erasedIn, eventsOfScript, intentIdNamed } from '#testing';

const expectedAction = z.strictObject({
  intent: z.string(),
  action: z.string().optional(),
  depth: z.int().optional(),
  outcome: z.union([outcomeSchema, z.literal('undecided')]).optional(),
  recorded: z.boolean().optional(),
  idReused: z.boolean().nullable().optional(),
  erased: z.boolean().optional(),
  reportsErased: z.array(z.boolean()).optional(),
  cause: z
    .enum(['proven', 'erased', 'not-in-record', 'other-chain', 'later', 'denied', 'undecided'])
    .optional()
    .describe('`proven`, `erased`, or why the cause is only claimed.'),
  upstream: z.array(z.string()).optional(),
  upstreamProven: z.boolean().optional(),
  msAfterCause: z.int().optional(),
  decidedAfter: z.int().nullable().optional(),
  findings: z.array(z.string()).optional(),
  decisions: z.array(z.record(z.string(), z.unknown())).optional(),
  reports: z.array(z.string()).optional(),
  reportsAsDecided: z.array(z.boolean().nullable()).optional(),
});

const chainCase = chainScriptSchema.extend({
  case: z.string(),
  erased: z.array(z.string()).default([]).describe('The intents of which keys were destroyed.'),
  expect: z.array(expectedAction),
  strays: z.array(z.string()).default([]),
  foreign: z.array(z.string()).default([]).describe('What was sent as a re-evaluation and is none.'),
  rendered: z.string().optional(),
});

/** An action in the words of the cases. */
function described(action: ChainAction): Required<Omit<z.infer<typeof expectedAction>, 'intent'>> & { intent: string } {
  return {
    intent: action.intentId,
    action: action.action.type,
    depth: action.depth,
    outcome: action.outcome,
    recorded: action.appendTime !== null,
    idReused: action.idReused,
    erased: action.erased,
    reportsErased: action.reports.map(({ erased }) => erased),
    cause: action.cause?.standing === 'claimed' ? action.cause.why : (action.cause?.standing ?? 'proven'),
    upstream: [...action.upstream.agents],
    upstreamProven: action.upstream.proven,
    msAfterCause: action.msAfterCause ?? -1,
    decidedAfter: action.decisions[0]?.msAfterIntent ?? null,
    findings: action.decisions.flatMap(({ findings }) => findings.map(({ layer, rule }) => `${layer}/${rule}`)),
    decisions: action.decisions.map((decision) => ({ ...decision })),
    reports: action.reports.map(({ status }) => status),
    reportsAsDecided: action.reports.map(({ asDecided }) => asDecided),
  };
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'));

describe.each(files)('decision chains: %s', (file) => {
  const cases = z.array(chainCase).parse(parse(readFileSync(`${import.meta.dirname}/${file}`, 'utf8')));

  it.each(cases.map((one) => [one.case, one] as const))('%s', (_title, one) => {
    const tree = foldChain(one.chain, erasedIn(eventsOfScript(one), one.erased.map(intentIdNamed)));
    expect(tree.actions.map(described)).toMatchObject(
      one.expect.map((action) => ({ ...action, intent: intentIdNamed(action.intent) })),
    );
    expect(tree.actions.map(({ cause }) => cause !== null)).toEqual(one.expect.map(({ cause }) => cause !== undefined));
    expect(tree.strayReports.map(({ intentId }) => intentId)).toEqual(one.strays.map(intentIdNamed));
    expect(tree.foreignReEvaluations.map(({ intentId }) => intentId)).toEqual(one.foreign.map(intentIdNamed));
    if (one.rendered !== undefined) expect(renderChain(tree)).toBe(one.rendered.trimEnd());
  });
});
