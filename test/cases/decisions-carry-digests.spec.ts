import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { sha256 } from '#contracts';
import {
  actionDigestOf,
  checkCharter,
  decide,
  decisionIdOf,
  evolveAuthority,
  grantIdOfNeed,
  heldRequestId,
  INITIAL_AUTHORITY,
  judge,
  LAYERS,
  permissionEventSchema,
  type AgentAuthority,
  type Charter,
  type Decision,
  type Intent,
  type JsonValue,
} from '#domain';
import { decisionAttributes, decisionStatus, factsOf, intentAttributes, verdictEvents } from '#telemetry';

const AT = Date.UTC(2026, 10, 3, 12);
const AGENT = 'payer';
const PERMISSION = 'change';

/** Conditions that look into parameters in every way there is, most of which fail on some of them. */
const CONDITIONS = [
  'int(action.parameters.amount) > 10',
  'double(action.parameters.amount) > 2.5',
  'action.parameters.note.contains("urgent")',
  'action.parameters.list[3] == "x"',
  'action.parameters.amount / size(action.parameters.note) > 3.0',
  'matches("some text", string(action.parameters.note))',
  'domainOf(string(action.parameters.note)) == "bank.example"',
  'action.containsPii && action.destination != "ledger"',
];

function charterOf(stage: string, effect: string): Charter {
  const checked = checkCharter(
    JSON.stringify({
      charter: 'digests',
      stage,
      decision_ttl: '30s',
      classifications: ['public', 'internal'],
      systems: { ledger: { classification: 'public' }, vault: { classification: 'internal' } },
      boundaries: [
        { id: 'limit', actions: ['pay'], parameter: 'amount', max: 20 },
        { id: 'class', max: 'public' },
      ],
      agents: { [AGENT]: { scope: { actions: ['pay', 'read', 'open'], systems: ['ledger'] } } },
      permissions: {
        [PERMISSION]: { approvals: { count: 1, role: 'finance' } },
        lift: { required_for: { actions: ['open'] } },
      },
      policies: CONDITIONS.map((condition, index) => ({
        id: `condition-${String(index)}`,
        severity: 'critical',
        scope: { actions: ['read'] },
        violated_when: condition,
        effect,
        ...(effect === 'hold' ? { unless_granted: PERMISSION } : {}),
        reason: 'a person has to look',
      })),
    }),
    sha256,
  );
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  return checked.charter;
}

const CHARTERS = ['enforce', 'observe'].flatMap((stage) => ['hold', 'deny'].map((effect) => charterOf(stage, effect)));

/** What must appear nowhere: a text that is no digest, no time and no word of ours, and a number of ten digits. */
const secret = fc.record({
  text: fc.stringMatching(/^qz[g-k]{10}$/),
  number: fc.integer({ min: 6_100_000_000, max: 6_199_999_999 }),
});
type Secret = typeof secret extends fc.Arbitrary<infer Drawn> ? Drawn : never;

function valuesOf({ text, number }: Secret): fc.Arbitrary<JsonValue> {
  const leaf = fc.constantFrom<JsonValue>(
    ...[text, number, -number, number / 7, `${text}@example.com`, `mail ${text}@example.com or ${String(number)}`],
    ...['+44 20 7946 0958', `https://${text}.example/${String(number)}`, `(${text}`, 'urgent', 5, 50, true, null],
  );
  const name = namesOf({ text, number });
  return fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3 }),
    ),
  })).value;
}

function namesOf({ text, number }: Secret): fc.Arbitrary<string> {
  return fc.constantFrom(
    ...['amount', 'note', 'list', 'email', 'fullName', 'customers', 'dateOfBirth', 'homeAddress'],
    ...[text, String(number), `${text}@example.com`, `phone_${text}`, `customer ${text}`, `/${text}~`],
  );
}

/** How the authority of the agent stands, told by events in which people and their words are the secret. */
const STANDINGS = [
  ...['nothing', 'suspended', 'granted', 'granted for less', 'revoked'],
  ...['open', 'approved', 'rejected', 'cancelled', 'expired', 'superseded'],
] as const;
type Standing = (typeof STANDINGS)[number];

function eventsOf(standing: Standing, text: string, requestId: string, charter: Charter): object[] {
  const person = { by: `${text}@bank.example`, reason: `because ${text}\nasked (rejected by ${text})` };
  const terms = { uses: null, charterDigest: charter.digest, expiresAt: new Date(AT + 60_000).toISOString() };
  const grant = { ...person, ...terms, event: 'PermissionGranted', permission: PERMISSION, approvedBy: [person.by] };
  const requested = {
    ...{ ...person, ...terms, event: 'PermissionRequested', requestId, durationMs: 60_000, onBehalfOf: text },
    basis: charter.basisOf(AGENT, { needs: [{ permission: PERMISSION }], constraints: {} }),
    needs: [{ permission: PERMISSION, approvals: { count: 1, role: 'finance' } }],
    constraints: {},
  };
  const ended = (event: string, more: object = {}): object[] => [
    requested,
    { ...person, event: 'PermissionApprovalEntered', requestId, roles: ['finance'] },
    { ...person, event, requestId, ...more },
  ];
  switch (standing) {
    case 'nothing':
      return [];
    case 'suspended':
      return [{ ...person, event: 'AgentSuspended' }];
    case 'granted':
      return [{ ...grant, grantId: 'g-1', constraints: {} }];
    case 'granted for less':
      return [{ ...grant, grantId: 'g-1', constraints: { parameters: { [text]: text }, destination: text } }];
    case 'revoked':
      return [
        { ...grant, grantId: 'g-1', constraints: {} },
        { ...person, event: 'PermissionRevoked', grantId: 'g-1' },
      ];
    case 'open':
      return [requested];
    case 'approved':
      return [requested, { ...grant, grantId: grantIdOfNeed(requestId, 0), constraints: {}, requestId }];
    case 'rejected':
      return ended('PermissionRejected');
    case 'cancelled':
      return ended('PermissionRequestCancelled');
    case 'expired':
      return ended('PermissionRequestExpired');
    case 'superseded':
      return ended('PermissionRequestSuperseded', { charterDigest: charter.digest });
    default:
      return standing satisfies never;
  }
}

function authorityOf(events: readonly object[]): AgentAuthority {
  return events.reduce<AgentAuthority>((state, event, index) => {
    const version = index + 1;
    const at = new Date(AT - (events.length - index) * 1000).toISOString();
    const filledIn = { agentId: AGENT, version, commandId: `command-${String(version)}`, at };
    return evolveAuthority(state, permissionEventSchema.parse({ ...filledIn, ...event }));
  }, INITIAL_AUTHORITY);
}

/** What of a charter each layer looks at, so that the layer can be made to fail. */
const FAILING = ['boundariesOf', 'requirements', 'agents', 'policies'] as const satisfies readonly (keyof Charter)[];

function errorsOf(text: string): readonly unknown[] {
  return [
    new TypeError(`Cannot read properties of undefined (reading '${text}')`),
    Object.assign(new Error(text), { name: text, code: text }),
    Object.assign(new RangeError(text), { code: 'no_such_key', cause: text }),
    text,
    undefined,
  ];
}

function failingAt(charter: Charter, failing: string | undefined, error: unknown): Charter {
  return new Proxy(charter, {
    get(target, property): unknown {
      if (property === failing) throw error;
      return Reflect.get(target, property) as unknown;
    },
  });
}

const planted = secret.chain((drawn) =>
  fc.record({
    secret: fc.constant(drawn),
    charter: fc.constantFrom(...CHARTERS),
    standing: fc.constantFrom(...STANDINGS),
    failing: fc.option(fc.constantFrom(...FAILING), { nil: undefined, freq: 4 }),
    error: fc.constantFrom(...errorsOf(drawn.text)),
    action: fc.record(
      {
        type: fc.constantFrom('read', 'read', 'pay', 'open', 'leave'),
        target: fc.constantFrom('ledger', 'ledger', 'vault', 'nowhere'),
        parameters: fc.dictionary(namesOf(drawn), valuesOf(drawn), { maxKeys: 5 }),
        dataClassification: fc.constantFrom('public', drawn.text),
        environment: fc.constantFrom('production', drawn.text),
        containsPii: fc.boolean(),
      },
      { requiredKeys: ['type', 'target'] },
    ),
  }),
);
type Planted = typeof planted extends fc.Arbitrary<infer Drawn> ? Drawn : never;

const FIRST_ROUNDS: ReadonlySet<Standing> = new Set(['nothing', 'suspended', 'granted', 'granted for less', 'revoked']);

function decisionOn({ secret: { text }, charter, standing, failing, error, action }: Planted): {
  intent: Intent;
  decision: Decision;
} {
  const intent: Intent = {
    intentId: '01900000-0000-7000-8000-000000000001',
    agentId: AGENT,
    action,
    onBehalfOf: `${text}@shop.example`,
    trigger: { type: 'user_request', id: 'r-1', description: `${text} asked for it` },
    precedingActions: [text],
  };
  const { intentId } = intent;
  const actionDigest = actionDigestOf(action, sha256);
  const identity = { agentId: AGENT, intentId, actionDigest };
  const requestId = heldRequestId(decisionIdOf({ ...identity, round: 1 }, sha256));
  const secondRound = FIRST_ROUNDS.has(standing) ? undefined : { requestId };
  const input = {
    ...{ intent, actionDigest, judgedAt: AT, secondRound },
    charter: failingAt(charter, failing, error),
    authority: authorityOf(eventsOf(standing, text, requestId, charter)),
  };
  const decision = decide({
    ...{ intent, actionDigest, secondRound, stage: charter.stage, decisionTtlMs: charter.decisionTtlMs },
    decisionId: decisionIdOf({ ...identity, round: secondRound === undefined ? 1 : 2 }, sha256),
    stamp: {
      judgedAt: new Date(AT).toISOString(),
      source: { topic: 'agent.actions', partition: 0, offset: 0 },
      charter: { digest: charter.digest, position: 1 },
      permissions: { position: input.authority.version },
    },
    verdicts: LAYERS.map((layer) => judge(layer, input)),
    engine: 'remit/test',
    sha256,
  });
  return { intent, decision };
}

/** Without these the property would have looked at nothing that could tell. */
const LOOKED_INTO = [
  ...['allow', 'deny', 'hold', 'pii', 'payer is suspended', ...LAYERS.map((layer) => `${layer}/layer-error`)],
  ...['its approval was rejected', 'its approval was cancelled', 'its approval expired', 'its approval is not known'],
  ...['no_such_key', 'no_such_overload', 'int_conversion_error', 'index_out_of_bounds', 'bad_pattern'],
];

/** All that a trace says of an intent and its decision. */
function toldInTraces(intent: Intent, decision: Decision): unknown {
  const facts = factsOf(decision);
  return [
    intentAttributes(intent, decision.action.digest, decision.round),
    decisionAttributes(facts),
    decisionStatus(facts),
    decision.verdicts.map((verdict) => verdictEvents(verdict, 1)),
  ];
}

describe('decisions carry digests only', () => {
  it('and neither persons, nor what they wrote, nor parameters, nor messages of errors, in the record or in traces', () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(planted, (one) => {
        const { intent, decision } = decisionOn(one);
        // The one person that a decision names: whoever its agent acts for cannot approve it.
        const { onBehalfOf, ...body } = decision;
        expect(onBehalfOf).toBe(intent.onBehalfOf);
        const told = JSON.stringify([body, toldInTraces(intent, decision)]).toLowerCase();
        expect(told).not.toContain(one.secret.text);
        expect(told).not.toContain(String(one.secret.number));

        seen.add(decision.outcome);
        const findings = decision.verdicts.flatMap(({ layer, findings: found }) =>
          found.map((finding) => ({ ...finding, layer })),
        );
        for (const { layer, rule, reason } of findings) {
          seen.add(rule === 'layer-error' ? `${layer}/${rule}` : rule);
          const failed = /the condition could not be evaluated: (.*)\)$/.exec(reason)?.[1];
          if (failed !== undefined) seen.add(failed);
          if (rule === 'not-approved' || rule === 'suspended') seen.add(reason.split(':', 1)[0] ?? '');
        }
        if (decision.verdicts.some(({ facts }) => facts['pii'] !== undefined)) seen.add('pii');
      }),
      // one seed, so that what has been seen is the same in every run
      { numRuns: 1500, seed: 1 },
    );
    expect([...seen]).toEqual(expect.arrayContaining(LOOKED_INTO));
    expect([...seen]).not.toContain('unexpected_error');
  });
});
