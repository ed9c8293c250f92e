import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KafkaBus, type Following } from '#bus';
import { EVENTS, readEvent, TOPICS } from '#contracts';
import type { RecordAccess } from '#domain';
import { requireKafka } from '#testing';
import { readHistory } from '../histories/history-file.js';
import { KeptRecord } from './kept-record.js';

const stories = readHistory(join(import.meta.dirname, '../histories/stories.jsonl'));
const ACCOUNT = `${userInfo().username}@${hostname()}`;
const NOWHERE = '127.0.0.1:1';

/** Other specs read records too, on the same log: what is asked for here is asked for nowhere else. */
const UNIQUE = randomUUID();
const TRACE_ID = UNIQUE.replaceAll('-', '');
const TIME = new Date(Date.UTC(2026, 10, 3) + parseInt(TRACE_ID.slice(0, 6), 16)).toISOString();
const KEPT = join(tmpdir(), `remit-kept-${UNIQUE}.jsonl`);
const CANDIDATE = 'charters/cloud-operations.yaml';

interface Reading {
  readonly command: string;
  readonly options: readonly string[];
  readonly how: string;
  readonly selection: Readonly<Record<string, unknown>>;
}

const READINGS: readonly Reading[] = [
  { command: 'chain', options: [UNIQUE], how: 'chain', selection: { chainOrTrace: UNIQUE } },
  {
    command: 'replay',
    options: ['--agent', UNIQUE, '--from', '2026-11-01', '--charter', CANDIDATE],
    how: 'replay',
    selection: {
      agentId: UNIQUE,
      from: '2026-11-01T00:00:00.000Z',
      candidate: expect.stringMatching(/^[0-9a-f]{64}$/),
    },
  },
  { command: 'at', options: [TIME, 'permissions'], how: 'at', selection: { time: TIME, subject: 'permissions' } },
  {
    command: 'audit gaps',
    options: ['--agent', UNIQUE, '--to', '2026-11-02'],
    how: 'gaps',
    selection: { agentId: UNIQUE, to: '2026-11-02T00:00:00.000Z', olderThan: '1m' },
  },
  {
    command: 'audit search',
    options: ['--agent', UNIQUE, '--trace', TRACE_ID, '--rule', 'data-privacy', '--outcome', 'deny'],
    how: 'search',
    selection: { agentId: UNIQUE, traceId: TRACE_ID, rule: 'data-privacy', outcome: 'deny', limit: '50' },
  },
  {
    command: 'audit export',
    options: ['--chain', UNIQUE, '--ocsf'],
    how: 'export',
    selection: { chainId: UNIQUE, ocsf: 'true' },
  },
  { command: 'audit prove', options: [UNIQUE], how: 'prove', selection: { eventId: UNIQUE } },
  { command: 'audit agents', options: [UNIQUE], how: 'agents', selection: { agentId: UNIQUE } },
  { command: 'audit verify', options: ['--checkpoint', KEPT], how: 'verify', selection: { checkpoint: KEPT } },
  { command: 'audit rebuild', options: [], how: 'rebuild', selection: {} },
];

/** One for each way in which the command line opens the record. */
const WAYS_IN = READINGS.filter(({ how }) => ['chain', 'verify', 'agents'].includes(how));

let record: KeptRecord;
let bus: KafkaBus;
let following: Following;
const said: RecordAccess[] = [];

beforeAll(async () => {
  writeFileSync(KEPT, '');
  record = await KeptRecord.holding(stories);
  bus = new KafkaBus({ brokers: requireKafka(), topics: Object.values(TOPICS) });
  await bus.ensureTopics([TOPICS.auditAccess]);
  following = await bus.follow({ topics: [TOPICS.auditAccess.name], from: 'end' }, (messages) => {
    for (const message of messages) {
      const reading = readEvent(EVENTS.recordAccess, message);
      if (reading.ok) said.push(reading.event.data);
    }
  });
});

afterAll(async () => {
  await following.stop();
  await bus.close();
  await record.drop();
  rmSync(KEPT);
});

async function saidOn({ how, selection }: Pick<Reading, 'how' | 'selection'>): Promise<RecordAccess> {
  const wanted = expect.objectContaining({ event: 'RecordRead', how, selection }) as {
    asymmetricMatch: (access: RecordAccess) => boolean;
  };
  for (const deadline = performance.now() + 120_000; performance.now() < deadline; await sleep(50)) {
    const access = said.find((one) => wanted.asymmetricMatch(one));
    if (access !== undefined) return access;
  }
  throw new Error(`nobody has said so:\n${JSON.stringify(said, undefined, 1)}`);
}

describe('whoever reads the record is on record', () => {
  it.each(READINGS)('remit $command: who, how, and what was asked for', async (reading) => {
    const { err } = await record.remit(...reading.command.split(' '), ...reading.options);
    expect(err).not.toContain('NOT_ANNOUNCED');
    expect(await saidOn(reading)).toMatchObject({
      by: ACCOUNT,
      account: ACCOUNT,
      at: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
    });
  });

  it.each(WAYS_IN)('remit $command shows nothing where that cannot be said', async ({ command, options }) => {
    const { code, out, err } = await record.remitWith({ KAFKA_BROKERS: NOWHERE }, ...command.split(' '), ...options);
    expect(err).toContain('REMIT_RECORD_NOT_ANNOUNCED: nothing was read');
    expect([code, out]).toEqual([1, '']);
  });

  it('a login that the door does not confirm names nobody: the account at the terminal is on record', async () => {
    const claims = Buffer.from(JSON.stringify({ sub: 'somebody-else' })).toString('base64url');
    const credentials = record.file('claimed.json');
    const door = `http://${NOWHERE}`;
    writeFileSync(credentials, JSON.stringify({ door, token: `e30.${claims}.c2ln` }));
    const claimed = `${UNIQUE}-claimed`;
    const asSomebody = { REMIT_CREDENTIALS: credentials, REMIT_DOOR_URL: door };
    const { err } = await record.remitWith(asSomebody, 'chain', claimed);
    expect(err).toContain('does not confirm your login');
    expect(await saidOn({ how: 'chain', selection: { chainOrTrace: claimed } })).toMatchObject({
      by: ACCOUNT,
      account: ACCOUNT,
    });
  });

  it('a wrong option is refused before anything is announced', async () => {
    const wrong = await record.remitWith({ KAFKA_BROKERS: NOWHERE }, 'replay', '--from', UNIQUE);
    expect(wrong.err).toContain('REMIT_CLI_TIME');
    expect(wrong.err).not.toContain('NOT_ANNOUNCED');
  });
});

describe('a reader who has read enough', () => {
  const decision = stories.find(({ topic }) => topic === TOPICS.agentDecisions.name);
  const chainId = (JSON.parse(String(decision?.value)) as { data: { chainId: string } }).data.chainId;

  it.each([
    ['chain', chainId],
    ['at now charter'],
    ['replay'],
    ['audit search --json'],
    ['audit gaps'],
    ['charter check', CANDIDATE],
  ])('remit %s | head ends in silence', async (command, ...options) => {
    const { err } = await record.remitUnread(...command.split(' '), ...options);
    expect(err).not.toMatch(/EPIPE|node:|at /);
  });
});
