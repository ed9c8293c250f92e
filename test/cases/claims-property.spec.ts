import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { sha256 } from '#contracts';
import {
  CLAIMS,
  INITIAL_AUTHORITY,
  LAYERS,
  actionDigestOf,
  checkCharter,
  evolveAuthority,
  foldVerdicts,
  intentSchema,
  judge,
  permissionEventSchema,
  withoutClaim,
  type AgentAuthority,
  type Charter,
  type Finding,
  type Intent,
  type Outcome,
  type Verdict,
} from '#domain';

const JUDGED_AT = Date.parse('2026-11-03T12:00:00Z');
const CLASSES = ['public', 'internal', 'confidential', 'restricted'];
const SYSTEMS = ['cards', 'lab', 'people', 'relay'];
const ENVIRONMENTS = ['production', 'pci', 'staging'];
const INTEGRATIONS = ['mail_gateway', 'chat_gateway'];
const STRICTNESS: Readonly<Record<Outcome, number>> = { allow: 0, hold: 1, deny: 2 };

const quoted = (texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts).map((text) => `"${text}"`);
const comparison = fc.constantFrom('==', '!=');

/** Conditions over claims, as an author might write them, sensible or not. */
const { condition } = fc.letrec<{ condition: string; atom: string }>((tie) => ({
  atom: fc
    .oneof(
      fc.tuple(fc.constant('action.environment'), comparison, quoted([...ENVIRONMENTS, '', 'moon'])),
      fc.tuple(fc.constant('action["dataClassification"]'), comparison, quoted(CLASSES)),
      fc.tuple(fc.constant('action.integration'), comparison, quoted([...INTEGRATIONS, '', 'pigeon'])),
      fc.tuple(fc.constant('context.onBehalfOf'), comparison, quoted(['', 'olga'])),
      fc.tuple(fc.constant('context.triggerType'), comparison, quoted(['', 'user_request'])),
      fc.tuple(fc.constant('context.chainId'), comparison, quoted(['nightly'])),
      fc.tuple(
        fc.constant('facts.classification'),
        fc.constantFrom('<=', '>=', '=='),
        fc.constantFrom('0', '1', '2', '3'),
      ),
      fc.tuple(
        fc.constant('size(facts.integrations)'),
        fc.constantFrom('<', '>', '=='),
        fc.constantFrom('0', '1', '2'),
      ),
    )
    .map((parts) => `(${parts.join(' ')})`),
  condition: fc.oneof(
    { maxDepth: 4 },
    tie('atom'),
    fc.constantFrom(
      'action.containsPii',
      'context.hasCause',
      'context.offHoursAllowed',
      'anyInList(facts.integrations, lists.gateways)',
      'anyNotInList(facts.integrations, lists.gateways)',
      'inList(action.environment, lists.gateways)',
      'anyParameter(action, "^(production|olga|mail_gateway)$")',
      'action.environment.startsWith("p")',
      'double(action.environment) > 1',
      'action.parameters.amount > 5',
    ),
    fc
      .tuple(tie('condition'), fc.constantFrom('&&', '||', '==', '!='), tie('condition'))
      .map((parts) => `(${parts.join(' ')})`),
    tie('condition').map((inner) => `!(${inner})`),
    fc
      .tuple(tie('condition'), tie('condition'), tie('condition'))
      .map(([one, two, three]) => `(${one} ? ${two} : ${three})`),
  ),
}));

const policies = fc.array(
  fc.record({
    violated_when: condition,
    effect: fc.constantFrom('deny', 'hold'),
    unless_granted: fc.constantFrom(undefined, 'standing', 'granted', 'missing'),
    severity: fc.constantFrom('critical', 'non_critical'),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Why a generated condition may be refused: too many claims at once, or comparisons that contradict each other. */
const REFUSED = new Set(['REMIT_CHARTER_EXPRESSION_TOO_LARGE', 'REMIT_CHARTER_EXPRESSION_NEVER']);

const charters = fc
  .record({
    policies,
    max: fc.constantFrom(undefined, 'internal', 'confidential'),
    noWriteDown: fc.boolean(),
    environments: fc.array(fc.option(fc.constantFrom(...ENVIRONMENTS)), { minLength: 4, maxLength: 4 }),
    classes: fc.array(fc.constantFrom(...CLASSES), { minLength: 4, maxLength: 4 }),
    approved: fc.subarray(INTEGRATIONS, { minLength: 1 }),
    own: fc.option(fc.subarray(INTEGRATIONS)),
    required: fc.constantFrom(undefined, 'standing', 'granted', 'missing'),
  })
  .map((given): Charter | undefined => {
    const systems = SYSTEMS.map((name, index) => [
      name,
      {
        classification: given.classes[index],
        ...(given.environments[index] ? { environment: given.environments[index] } : {}),
        ...(name === 'relay' ? { integration: given.approved[0] } : {}),
      },
    ]);
    const checked = checkCharter(
      stringify({
        charter: 'generated',
        stage: 'enforce',
        lists: { gateways: ['mail_gateway', 'p*'] },
        systems: Object.fromEntries(systems) as unknown,
        integrations: given.approved,
        boundaries: [
          ...(given.max === undefined ? [] : [{ id: 'classification', max: given.max }]),
          ...(given.noWriteDown ? [{ id: 'no-write-down', no_write_down: true }] : []),
        ],
        agents: {
          a: {
            scope: { actions: ['*'], systems: ['*'] },
            permissions: ['standing'],
            ...(given.own === null ? {} : { integrations: given.own.filter((name) => given.approved.includes(name)) }),
          },
        },
        permissions: Object.fromEntries(
          ['standing', 'granted', 'missing'].map((name) => [
            name,
            {
              approvals: { count: 1, role: 'security' },
              ...(given.required === name ? { required_for: { actions: ['update'] } } : {}),
            },
          ]),
        ) as unknown,
        policies: given.policies.map(({ unless_granted: permission, ...policy }, index) => ({
          id: `policy-${index}`,
          reason: 'because',
          ...policy,
          ...(permission === undefined ? { effect: 'deny' } : { unless_granted: permission }),
        })),
      }),
      sha256,
    );
    if (checked.ok) return checked.charter;
    const [problem] = checked.problems;
    // Conditions that are refused for these are no loss. Were others, the property would speak of little.
    if (!REFUSED.has(problem?.code ?? '')) throw new Error(JSON.stringify(checked.problems));
    return undefined;
  });

/** Without the rare nulls and empty claims: those are no claims. */
const intents = fc
  .record(
    {
      type: fc.constantFrom('update', 'read'),
      target: fc.constantFrom(...SYSTEMS, 'nowhere'),
      destination: fc.constantFrom(undefined, ...SYSTEMS, 'Cards', 'partner.example'),
      amount: fc.constantFrom(undefined, 1, 9),
      dataClassification: fc.constantFrom(...CLASSES, 'moonlight', 'Public'),
      integration: fc.constantFrom(...INTEGRATIONS, 'pigeon'),
      environment: fc.constantFrom(...ENVIRONMENTS, 'PRODUCTION ', 'moon'),
      containsPii: fc.boolean(),
      allowOffHours: fc.boolean(),
      cause: fc.constant({ agentId: 'b', intentId: '01900000-0000-7000-8000-00000000beef' }),
      onBehalfOf: fc.constant('olga'),
      trigger: fc.constantFrom({ type: 'user_request' }, { type: 'schedule' }),
      chainId: fc.constantFrom('nightly', 'daily'),
    },
    { requiredKeys: ['type', 'target', 'destination', 'amount'] },
  )
  .map(({ type, target, destination, amount, cause, onBehalfOf, trigger, chainId, ...claims }) =>
    intentSchema.parse({
      intentId: '01900000-0000-7000-8000-000000000001',
      agentId: 'a',
      action: { type, target, destination, parameters: amount === undefined ? {} : { amount }, ...claims },
      cause,
      onBehalfOf,
      trigger,
      chainId,
    }),
  );

function authorityUnder(charter: Charter): AgentAuthority {
  const granted = permissionEventSchema.parse({
    event: 'PermissionGranted',
    agentId: 'a',
    version: 1,
    commandId: 'command-1',
    at: '2026-11-03T11:59:00.000Z',
    by: 'sam',
    reason: 'for the property',
    grantId: 'grant-1',
    permission: 'granted',
    constraints: { target: 'cards' },
    uses: null,
    expiresAt: '2026-11-03T13:00:00.000Z',
    approvedBy: ['sam'],
    charterDigest: charter.digest,
  });
  return evolveAuthority(INITIAL_AUTHORITY, granted);
}

function verdictsOf(charter: Charter, intent: Intent): Verdict[] {
  const actionDigest = actionDigestOf(intent.action, sha256);
  const input = { intent, actionDigest, judgedAt: JUDGED_AT, charter, authority: authorityUnder(charter) };
  return LAYERS.map((layer) => judge(layer, input));
}

function outcomeOf(charter: Charter, intent: Intent): Outcome {
  return foldVerdicts(verdictsOf(charter, intent)).outcome;
}

function findingsOf(charter: Charter, intent: Intent): Finding[] {
  return verdictsOf(charter, intent).flatMap(({ findings }) => findings);
}

describe('promise 11: whatever conditions a charter has', () => {
  /** Compiling a charter costs more than judging, so each is asked about several intents. */
  const severalIntents = fc.array(intents, { minLength: 8, maxLength: 8 });

  it('no claim makes the outcome milder than the same intent without it', () => {
    let tightened = 0;
    fc.assert(
      fc.property(charters, severalIntents, (charter, given) => {
        fc.pre(charter !== undefined);
        for (const intent of given) {
          const believed = STRICTNESS[outcomeOf(charter, intent)];
          for (const claim of CLAIMS) {
            const without = STRICTNESS[outcomeOf(charter, withoutClaim(intent, claim))];
            if (believed > without) tightened += 1;
            expect({ claim, believed: Math.max(believed, without) }).toEqual({ claim, believed });
          }
        }
      }),
      { numRuns: 100 },
    );
    // Otherwise the property could not fail.
    expect(tightened).toBeGreaterThan(0);
  });

  it('a finding that names no claim is there without any claim, too', () => {
    fc.assert(
      fc.property(charters, severalIntents, (charter, given) => {
        fc.pre(charter !== undefined);
        for (const intent of given) {
          const byCharter = findingsOf(charter, intent).filter(({ claims }) => claims === undefined);
          const unclaimed = findingsOf(charter, CLAIMS.reduce(withoutClaim, intent));
          expect(byCharter.map(({ rule }) => rule).sort()).toEqual(unclaimed.map(({ rule }) => rule).sort());
        }
      }),
      { numRuns: 50 },
    );
  });
});
