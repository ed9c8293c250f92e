import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { sha256 } from '#contracts';
import {
  INITIAL_AUTHORITY,
  LAYERS,
  actionDigestOf,
  actionSchema,
  causeSchema,
  checkCharter,
  decide,
  decisionIdOf,
  evolveAuthority,
  intentSchema,
  judge,
  layerSchema,
  outcomeSchema,
  permissionEventSchema,
  triggerSchema,
  type AgentAuthority,
  type Charter,
  type Decision,
  type Intent,
} from '#domain';

const GRANTED_BEFORE_MS = 60_000;

const timeSchema = z.iso.datetime({ offset: true });

const expectationSchema = z.strictObject({
  outcome: outcomeSchema,
  wouldBe: outcomeSchema.optional().describe('The same as `outcome` when left out.'),
  rules: z
    .array(z.string())
    .optional()
    .describe('Every rule that has a finding, as layer/rule, and no other; [] for none. Left out: whatever they are.'),
  passed: z.array(z.string()).optional().describe('Rules that must have been satisfied, among others.'),
  reason: z.string().optional().describe('What one of the reasons must contain.'),
  notEnforced: z.record(z.string(), z.string()).optional().describe('Why a finding does not count, by layer/rule.'),
  facts: z.partialRecord(layerSchema, z.record(z.string(), z.unknown())).optional(),
});

const caseSchema = z.strictObject({
  name: z.string().describe('A sentence a security officer understands.'),
  at: timeSchema.optional().describe("When the intent is judged; else the file's time."),
  intent: z.strictObject({
    agent: z.string(),
    action: actionSchema,
    onBehalfOf: z.string().optional(),
    trigger: triggerSchema.optional(),
    cause: causeSchema.optional(),
    chainId: z.string().optional(),
  }),
  grants: z
    .array(
      z.strictObject({
        permission: z.string(),
        expires: timeSchema.describe('The grant authorises before then.'),
        uses: z.int().min(1).optional(),
        constraints: z.record(z.string(), z.unknown()).default({}),
      }),
    )
    .default([])
    .describe('What the agent was granted a minute before.'),
  suspended: z.string().optional().describe('The agent was suspended before, for this reason.'),
  events: z
    .array(z.record(z.string(), z.unknown()))
    .default([])
    .describe(
      'Permission events of the agent before the intent; agent, version, command, time and `by` are filled in.',
    ),
  expect: expectationSchema,
});

export const decisionCasesSchema = z.strictObject({
  charter: z
    .union([z.string(), z.record(z.string(), z.unknown())])
    .describe('A file, as a path from this one, or the charter itself.'),
  at: timeSchema.default('2026-11-03T12:00:00Z'),
  cases: z.array(caseSchema).min(1),
});

/** One decision as data: given a charter, an intent and a time, this is decided, by these rules. */
export interface DecisionCase {
  readonly name: string;
  /** ms since the epoch */
  readonly at: number;
  readonly intent: Intent;
  readonly authority: AgentAuthority;
  readonly expect: z.infer<typeof expectationSchema>;
}

export interface DecisionCases {
  readonly file: string;
  readonly charter: Charter;
  readonly cases: readonly DecisionCase[];
}

function invalid(file: string, what: string): Error {
  return new Error(`REMIT_CASES_INVALID: ${file}: ${what}`);
}

function charterOf(file: string, given: string | Record<string, unknown>): Charter {
  const text = typeof given === 'string' ? readFileSync(join(dirname(file), given), 'utf8') : stringify(given);
  const checked = checkCharter(text, sha256);
  if (checked.ok) return checked.charter;
  const problems = checked.problems.map((problem) => `${problem.path}: ${problem.message}`);
  throw invalid(file, `the charter is refused: ${problems.join('; ')}`);
}

/** The events lie one second apart, the last one second before the intent; grants come first. */
function authorityOf(
  agentId: string,
  judgedAt: number,
  given: z.infer<typeof caseSchema>,
  charterDigest: string,
): AgentAuthority {
  const grants = given.grants.map(({ permission, expires, uses, constraints }, index) => ({
    event: 'PermissionGranted',
    at: new Date(judgedAt - GRANTED_BEFORE_MS).toISOString(),
    reason: 'as the case says',
    grantId: `grant-${index + 1}`,
    permission,
    constraints,
    uses: uses ?? null,
    expiresAt: new Date(expires).toISOString(),
    approvedBy: ['security-officer'],
    charterDigest,
  }));
  const suspension = { event: 'AgentSuspended', reason: given.suspended };
  const events = [...grants, ...(given.suspended === undefined ? [] : [suspension]), ...given.events];
  return events.reduce<AgentAuthority>((state, event, index) => {
    const version = index + 1;
    const at = new Date(judgedAt - (events.length - index) * 1000).toISOString();
    const filledIn = { agentId, version, commandId: `command-${version}`, at, by: 'security-officer' };
    return evolveAuthority(state, permissionEventSchema.parse({ ...filledIn, ...event }));
  }, INITIAL_AUTHORITY);
}

/** Reads a `*.cases.yaml`. Throws `REMIT_CASES_INVALID` with what is wrong and where. */
export function loadDecisionCases(file: string): DecisionCases {
  const checked = decisionCasesSchema.safeParse(parse(readFileSync(file, 'utf8')));
  if (!checked.success) throw invalid(file, z.prettifyError(checked.error));
  const { charter, at, cases } = checked.data;
  const compiled = charterOf(file, charter);
  return {
    file,
    charter: compiled,
    cases: cases.map((given, index) => {
      const { agent, ...intent } = given.intent;
      const judgedAt = Date.parse(given.at ?? at);
      return {
        name: given.name,
        at: judgedAt,
        intent: intentSchema.parse({
          ...intent,
          agentId: agent,
          intentId: `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`,
        }),
        authority: authorityOf(agent, judgedAt, given, compiled.digest),
        expect: given.expect,
      };
    }),
  };
}

/** Every `*.cases.yaml` of a folder, in the order of their names. */
export function loadDecisionCasesIn(folder: string): DecisionCases[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.cases.yaml'));
  return files.sort().map((file) => loadDecisionCases(join(folder, file)));
}

/** Judges the intent of a case by all layers, as the pipeline does. */
export function decideCase(charter: Charter, { intent, at, authority }: DecisionCase): Decision {
  const actionDigest = actionDigestOf(intent.action, sha256);
  const input = { intent, actionDigest, judgedAt: at, charter, authority };
  return decide({
    intent,
    actionDigest,
    decisionId: decisionIdOf({ agentId: intent.agentId, intentId: intent.intentId, actionDigest, round: 1 }, sha256),
    stamp: {
      judgedAt: new Date(at).toISOString(),
      source: { topic: 'agent.actions', partition: 0, offset: 0 },
      charter: { digest: charter.digest, position: 1 },
      permissions: { position: authority.version },
    },
    verdicts: LAYERS.map((layer) => judge(layer, input)),
    stage: charter.stage,
    decisionTtlMs: charter.decisionTtlMs,
    engine: 'remit/cases',
    sha256,
  });
}

function listed(rules: readonly string[]): string {
  return rules.length === 0 ? 'no rule' : [...rules].sort().join(', ');
}

/** Where a decision is not what the case expects, one sentence each; empty when it is. */
export function differencesFrom({ expect }: DecisionCase, decision: Decision): string[] {
  const findings = decision.verdicts.flatMap(({ layer, findings: found }) =>
    found.map((finding) => ({ name: `${layer}/${finding.rule}`, ...finding })),
  );
  const passed = decision.verdicts.flatMap(({ layer, passed: rules }) => rules.map((rule) => `${layer}/${rule}`));
  const differences: string[] = [];
  const compare = (what: string, wanted: string, got: string): void => {
    if (wanted !== got) differences.push(`${what}: expected ${wanted}, got ${got}`);
  };
  compare('outcome', expect.outcome, decision.outcome);
  compare('wouldBe', expect.wouldBe ?? expect.outcome, decision.wouldBe);
  if (expect.rules !== undefined) {
    compare('rules', listed(expect.rules), listed(findings.map((finding) => finding.name)));
  }
  for (const rule of expect.passed ?? []) {
    if (!passed.includes(rule)) differences.push(`passed: expected ${rule} among ${listed(passed)}`);
  }
  const { reason } = expect;
  if (reason !== undefined && !findings.some((finding) => finding.reason.includes(reason))) {
    differences.push(`reason: expected "${reason}" in "${findings.map((finding) => finding.reason).join('"; "')}"`);
  }
  for (const [rule, why] of Object.entries(expect.notEnforced ?? {})) {
    const finding = findings.find(({ name }) => name === rule);
    compare(`notEnforced of ${rule}`, why, finding?.notEnforced ?? (finding === undefined ? 'no finding' : 'enforced'));
  }
  for (const [layer, facts] of Object.entries(expect.facts ?? {})) {
    const got = decision.verdicts.find((verdict) => verdict.layer === layer)?.facts ?? {};
    for (const [name, wanted] of Object.entries(facts)) {
      if (isDeepStrictEqual(got[name] ?? null, wanted)) continue;
      differences.push(`fact ${layer}/${name}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got[name])}`);
    }
  }
  return differences;
}
