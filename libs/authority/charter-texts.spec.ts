import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { EVENTS, readEvent, sha256, writeEvent, type EventDeclaration } from '#contracts';
import {
  actionDigestOf,
  authorityDecider,
  checkCharter,
  decide,
  decisionIdOf,
  INITIAL_AUTHORITY,
  intentSchema,
  judge,
  LAYERS,
  permissionTermsOf,
  type Charter,
  type Intent,
  requestOfHold,
} from '#domain';

const AT = Date.UTC(2026, 10, 24, 9, 30);

/** Texts as nobody expects them: blank in every way, at every limit, in any Unicode, half characters, U+0000. */
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc
    .array(fc.constantFrom(' ', '\t', '\n', '\u00a0', '\u3000', '\u200b', '\ufeff', '\0', '\ud83d', '\ude00', 'x'), {
      maxLength: 8,
    })
    .map((parts) => parts.join('')),
  fc
    .constantFrom(64, 128, 255, 256, 257, 1023, 1024, 1025)
    .chain((length) => fc.constantFrom('x', ' ', 'é', '\ufdfa').map((unit) => unit.repeat(length))),
  fc.constantFrom(32, 128, 511, 512, 513).map((length) => '😀'.repeat(length)),
  fc.constantFrom(' ', '', '~', 'null', '0', '1e400', '.inf', '*a', '!!x', '__proto__', '"', '\u2028'),
);

const duration = fc.oneof(
  fc.constantFrom('1ms', '30s', '1h', '7d', '999999d', '999999h', '0s', '1000000d', '-1s', '1.5h'),
  text,
);

const PLAIN = {
  ...{ owner: 'o', purpose: 'p', environment: 'production', listed: 'l', reasons: ['exports are approved by people'] },
  ...{ maxDuration: '1h', holdFor: '1h', ttl: '30s', count: 1, role: 'security' },
};
type Texts = typeof PLAIN;

/** A charter in which every export is held by its policies. */
function charterText(texts: Texts): string {
  const { owner, purpose, environment, listed, reasons, maxDuration, holdFor, ttl, count, role } = texts;
  return stringify({
    charter: 'texts',
    stage: 'enforce',
    decision_ttl: ttl,
    classifications: ['public'],
    lists: { listed: [listed] },
    systems: { ledger: { classification: 'public', environment } },
    agents: { exporter: { owner, purpose, scope: { actions: ['export'], systems: ['ledger'] } } },
    permissions: { exports: { max_duration: maxDuration, hold_for: holdFor, approvals: { count, role } } },
    policies: reasons.map((reason, index) => ({
      id: `ask-${String(index)}`,
      severity: 'critical',
      violated_when: 'action.type == "export"',
      effect: 'hold',
      unless_granted: 'exports',
      reason,
    })),
  });
}

/** At most a few of a charter's texts are strange: with many of them it is always refused. */
const texts = fc
  .record<Texts>({
    owner: text,
    purpose: text,
    environment: text,
    listed: text,
    reasons: fc.array(text, { minLength: 1, maxLength: 3 }),
    maxDuration: duration,
    holdFor: duration,
    ttl: duration,
    count: fc.constantFrom(1, 2, 16, 0, 17, 1e21),
    role: fc.oneof(fc.constant('security'), text),
  })
  .chain((strange) =>
    fc
      .subarray(Object.keys(strange) as (keyof Texts)[], { maxLength: 3 })
      .map((chosen): Texts => ({ ...PLAIN, ...Object.fromEntries(chosen.map((name) => [name, strange[name]])) })),
  );

function intentOf(said: string): Intent {
  const plain = { intentId: '0198a5a0-1111-7abc-8def-0123456789ab', agentId: 'exporter' };
  const action = { type: 'export', target: 'ledger' };
  const strange = intentSchema.safeParse({
    ...plain,
    action: { ...action, destination: said },
    ...{ onBehalfOf: said.slice(0, 256), chainId: said.slice(0, 256) },
  });
  const intent = strange.success ? strange.data : { ...plain, action };
  // what agents send is read from bytes: a text that cannot be kept is refused there
  const read = readEvent(EVENTS.intent, asMessage(EVENTS.intent, intent));
  return read.ok ? read.event.data : { ...plain, action };
}

function asMessage<Data>(declaration: EventDeclaration<Data>, data: Data) {
  const { value, headers } = writeEvent(declaration, { id: 'id', source: '/test', subject: 'exporter', data });
  return { value: Buffer.from(value), headers: { 'content-type': Buffer.from(headers['content-type']) } };
}

/** What a reader of the log makes of it. */
function published<Data>(declaration: EventDeclaration<Data>, data: Data): Data {
  const reading = readEvent(declaration, asMessage(declaration, data));
  if (!reading.ok) throw new Error(`${declaration.type}: ${reading.reason}`);
  return reading.event.data;
}

function decisionOn(intent: Intent, charter: Charter) {
  const actionDigest = actionDigestOf(intent.action, sha256);
  const stamp = {
    judgedAt: new Date(AT).toISOString(),
    source: { topic: 'agent.actions', partition: 0, offset: 0 },
    charter: { digest: charter.digest, position: 1 },
    permissions: { position: 0 },
  };
  const input = { intent, actionDigest, judgedAt: AT, charter, authority: INITIAL_AUTHORITY };
  const verdicts = LAYERS.map((layer) => judge(layer, { ...input, unavailable: undefined, secondRound: undefined }));
  const { agentId, intentId } = intent;
  const decisionId = decisionIdOf({ agentId, intentId, actionDigest, round: 1 }, sha256);
  const { stage, decisionTtlMs } = charter;
  return decide({
    intent,
    actionDigest,
    stamp,
    verdicts,
    decisionId,
    stage,
    decisionTtlMs,
    engine: 'remit/test',
    sha256,
  });
}

describe('promise 9: whatever a charter is accepted with', () => {
  it('its decisions, commands and events are what readers accept, so that no hold under it stops a partition', () => {
    let held = 0;
    let refused = 0;
    fc.assert(
      fc.property(texts, text, (given, said) => {
        const checked = checkCharter(charterText(given), sha256);
        if (!checked.ok) {
          refused += 1;
          return;
        }
        const { charter } = checked;
        published(EVENTS.charterEvent, {
          event: 'CharterActivated',
          ...{ charter: charter.name, digest: charter.digest, text: charterText(given), activatedBy: 'test' },
        });
        const decision = published(EVENTS.decision, decisionOn(intentOf(said), charter));
        expect(decision.outcome).toBe('hold');
        const command = requestOfHold(decision, charter);
        if (command === undefined) throw new Error('a hold opens a request');
        const terms = permissionTermsOf(charter, 'exporter');
        const events = authorityDecider.decide(
          { command: published(EVENTS.permissionCommand, command), at: AT, terms },
          INITIAL_AUTHORITY,
        );
        for (const event of events) published(EVENTS.permissionEvent, event);
        expect(events.map(({ event }) => event)).toEqual(['PermissionRequested']);
        held += 1;
      }),
      { numRuns: 400 },
    );
    expect(held).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(20);
  });

  it.each([' ', '\u00a0\u3000', '\t', 'a\0b', 'half \ud83d'])(
    'a reason of %j is refused when the charter is checked',
    (reason) => {
      const checked = checkCharter(charterText({ ...PLAIN, reasons: [reason] }), sha256);
      expect(checked.ok).toBe(false);
    },
  );
});
