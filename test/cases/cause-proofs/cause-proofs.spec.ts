import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { EVENTS, SERVICES, TOPICS, writeEvent } from '#contracts';
import { decisionSchema, intentSchema, stampedCauseOf, stampedCauseSchema, type Decision } from '#domain';
import {
  causeProofOf,
  createSigningKey,
  MessageVerifier,
  proofVerifier,
  readSigningKey,
  SIGNATURE_HEADER,
} from '#signing';
import { signMessages, TrustedKeys } from '#signing';

const caseSchema = z.strictObject({
  case: z.string(),
  decision: z
    .looseObject({ stamp: z.looseObject({}).optional() })
    .default({})
    .describe('What it says otherwise.'),
  cause: z.literal('none').optional(),
  proof: z.literal('none').optional(),
  batch: z.int().default(1).describe('So many messages were signed at once.'),
  altered: z.strictObject({ from: z.string(), to: z.string() }).optional().describe('After it was signed.'),
  value: z.string().optional().describe('Instead of a decision.'),
  signature: z.string().optional().describe('Instead of the right one.'),
  key: z.string().default('planner').describe('The key of the message that was signed.'),
  topic: z.string().default(TOPICS.agentDecisions.name),
  signed_by: z.enum(SERVICES).default('policy'),
  trusted: z.boolean().default(true),
  retired: z.iso.datetime().optional().describe('When the key was taken out of use.'),
  expect: z.union([stampedCauseSchema, z.literal('none')]),
});

const CASES = z.array(caseSchema).parse(parse(readFileSync(join(import.meta.dirname, 'cause-proofs.yaml'), 'utf8')));

const JUDGED_AT = Date.parse('2026-11-28T12:00:00.000Z');
const CAUSE = { agentId: 'planner', intentId: '01900000-0000-7000-8000-000000000001' };
const DIGEST = 'a'.repeat(64);
const DECISION: Decision = decisionSchema.parse({
  ...CAUSE,
  decisionId: DIGEST,
  round: 1,
  chainId: 'month-end',
  action: { type: 'plan', target: 'ledger', digest: DIGEST },
  outcome: 'allow',
  wouldBe: 'allow',
  stage: 'enforce',
  verdicts: [],
  stamp: {
    judgedAt: '2026-11-28T11:59:00.000Z',
    source: { topic: TOPICS.agentActions.name, partition: 0, offset: 0 },
    charter: { digest: DIGEST, position: 1 },
    permissions: { position: 0 },
  },
  validUntil: '2026-11-28T11:59:30.000Z',
  engine: 'remit/test',
});

describe('the proof of a cause', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'remit-proof-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it.each(CASES.map((one) => [one.case, one] as const))('%s', (_title, one) => {
    const [keyFile, trustedKeysFile] = [join(folder, 'key.pem'), join(folder, 'trusted.json')];
    createSigningKey({ service: one.signed_by, keyFile, trustedKeysFile });
    const trusted = JSON.parse(readFileSync(trustedKeysFile, 'utf8')) as { keys: object[] };
    const keys = one.trusted ? trusted.keys.map((key) => ({ ...key, until: one.retired })) : [];
    writeFileSync(trustedKeysFile, JSON.stringify({ keys }));

    const stamp = { ...DECISION.stamp, ...one.decision.stamp };
    const data = decisionSchema.parse({ ...DECISION, ...one.decision, stamp });
    const event = writeEvent(EVENTS.decision, { id: DIGEST, source: '/remit/test', subject: data.agentId, data });
    const value = one.value ?? event.value;
    const message = { topic: one.topic, key: one.key, value };
    const others = Array.from({ length: one.batch - 1 }, (_, index) => ({ ...message, value: String(index) }));
    const header = signMessages([...others, message], readSigningKey(keyFile)).at(-1) ?? Buffer.alloc(0);
    const made = causeProofOf({ value: Buffer.from(value), headers: { [SIGNATURE_HEADER]: header } });
    const { from = '', to = '' } = one.altered ?? {};
    expect(value).toContain(from);
    const proof = made && {
      decision: made.decision.replace(from, to),
      signature: one.signature ?? made.signature,
    };

    const intent = intentSchema.parse({
      intentId: '01900000-0000-7000-8000-000000000009',
      agentId: 'clerk',
      action: { type: 'pay', target: 'ledger' },
      chainId: 'month-end',
      ...(one.cause === 'none' ? {} : { cause: { ...CAUSE, ...(one.proof === 'none' ? {} : { proof }) } }),
    });
    const verify = proofVerifier(new MessageVerifier(new TrustedKeys(trustedKeysFile)));
    const carried = intent.cause?.proof;
    const stamped = stampedCauseOf(intent, carried ? verify(carried, CAUSE, JUDGED_AT) : undefined);
    expect(stamped).toEqual(one.expect === 'none' ? undefined : one.expect);
  });
});
