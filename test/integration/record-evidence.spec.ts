import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { EVENTS, sha256, TOPICS, writeEvent } from '#contracts';
import { checkCharter, foldChain, renderChain, type Gap } from '#domain';
import {
  ENTRIES_PER_PAGE,
  exportEverything,
  exportSelection,
  PostgresHistory,
  Projections,
  ProvenRecord,
  publicKeyPem,
  recordedGaps,
  RecordKeeping,
  verifyPack,
  type Erasure,
  type RecordDatabaseOptions,
  type RecordedMessage,
} from '#record';
import { chainScriptSchema, countingReads, eventsOfScript, intentIdNamed, messageOfChainEvent } from '#testing';
import { asIntruder, createOwnDatabase, emptyRecord, type OwnDatabase } from './own-database.js';

const ROOT = join(import.meta.dirname, '../..');
const START = 1_764_000_000_000;

let folder: string;
let database: OwnDatabase;
let options: RecordDatabaseOptions;
let history: PostgresHistory;
let record: ProvenRecord;
let keeping: RecordKeeping;
let projections: Projections;
let publicKey: Buffer;
let keyFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'remit-evidence-'));
  database = await createOwnDatabase();
  options = { databaseUrl: database.url, keyFolder: join(folder, 'keys') };
  keyFile = join(folder, 'public.pem');
});

afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  history = new PostgresHistory(options);
  await history.ping();
  record = new ProvenRecord(options);
  keeping = new RecordKeeping(options);
  projections = new Projections(options);
  await emptyRecord(database);
  await asIntruder(database, 'TRUNCATE record.intent_key, record.key_person');
  publicKey = await record.checkpoints.firstPublicKey();
  writeFileSync(keyFile, publicKeyPem(publicKey));
});

afterEach(() => Promise.all([history.close(), record.close(), keeping.close(), projections.close()]));

const script = chainScriptSchema.parse({
  chain: 'payroll',
  agents: ['reader', 'payer'],
  events: [
    { intent: 'read', agent: 'reader', at: 0, action: 'read', target: 'reporting' },
    { decision: 'read', outcome: 'allow', at: 10 },
    { report: 'read', status: 'executed', at: 20 },
    { intent: 'pay', agent: 'payer', at: 30, action: 'transfer', target: 'ledger', cause: 'read' },
    { decision: 'pay', outcome: 'deny', at: 40 },
  ],
});

/** The events of the script; every intent is on behalf of this person, with a parameter that nobody else has. */
function chainMessages(person: string): RecordedMessage[] {
  return eventsOfScript(script).map((event) =>
    messageOfChainEvent(
      event.kind === 'intent'
        ? {
            ...event,
            intent: {
              ...event.intent,
              onBehalfOf: person,
              action: { ...event.intent.action, parameters: { iban: 'DE02120300000000202051' } },
            },
          }
        : event,
    ),
  );
}

/** The same without the parameter: as the script's decisions decided it. */
function decidedMessages(person: string): RecordedMessage[] {
  return eventsOfScript(script).map((event) =>
    messageOfChainEvent(
      event.kind === 'intent' ? { ...event, intent: { ...event.intent, onBehalfOf: person } } : event,
    ),
  );
}

const charterText = readFileSync(join(ROOT, 'charters/fintech-production.yaml'), 'utf8');

/** The charter that the script's decisions name, and the event that put it in force. */
function charterMessage(): { message: RecordedMessage; digest: string } {
  const checked = checkCharter(charterText, sha256);
  if (!checked.ok) throw new Error('the charter is refused');
  const { name, digest } = checked.charter;
  const event = writeEvent(EVENTS.charterEvent, {
    id: 'charter-1',
    source: '/test',
    subject: name,
    data: { event: 'CharterActivated', charter: name, digest, text: charterText, activatedBy: 'test' },
  });
  return {
    digest,
    message: {
      topic: TOPICS.charterEvents.name,
      partition: 0,
      offset: 0,
      appendTime: START - 1,
      key: Buffer.from(TOPICS.charterEvents.keyedBy),
      value: Buffer.from(event.value),
      headers: { 'content-type': Buffer.from(event.headers['content-type']) },
    },
  };
}

async function closeEpoch(): Promise<void> {
  await record.checkpoints.closeEpoch({ now: START, complete: true });
}

/** The offline verifier, in a process that knows neither database nor broker nor key folder. */
function verifyOffline(...args: string[]): { status: number | null; stdout: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/apps/cli/main.js'), 'audit', 'verify', ...args],
    { cwd: folder, env: {}, encoding: 'utf8' },
  );
  return { status, stdout: stdout + stderr };
}

function newFolder(): string {
  return mkdtempSync(join(folder, 'pack-'));
}

describe('personal data in the record', () => {
  it('is sealed as it is stored: neither value nor headers of an intent lie in the database', async () => {
    await history.append(chainMessages('maria@shop.example'));
    const rows = await database.query(`SELECT * FROM record.history WHERE topic = 'agent.actions'`);
    const stored = rows.map((row) =>
      Object.values(row)
        .map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value)))
        .join(' '),
    );
    expect(stored).toHaveLength(2);
    expect(stored.filter((text) => /maria|DE0212|cloudevents/.test(text))).toEqual([]);
    const persons = await database.query('SELECT person FROM record.key_person');
    expect(persons.length).toBeGreaterThan(0);
    expect(persons.every(({ person }) => Buffer.isBuffer(person) && !person.toString('latin1').includes('maria'))).toBe(
      true,
    );
  });

  it('is sealed with one key per intent, and each message about no intent with one of its own', async () => {
    const dead = (offset: number): RecordedMessage => ({
      ...charterMessage().message,
      topic: TOPICS.deadLetters.name,
      offset,
      value: Buffer.from('whatever came'),
    });
    await history.append([...chainMessages('maria@shop.example'), dead(0), dead(1)]);
    const keys = await database.query(
      `SELECT topic, count(DISTINCT key_id)::int AS keys, count(key_id)::int AS sealed FROM record.history
       GROUP BY topic ORDER BY topic`,
    );
    expect(keys).toEqual([
      { topic: 'agent.actions', keys: 2, sealed: 2 },
      { topic: 'agent.decisions', keys: 0, sealed: 0 },
      { topic: 'agent.outcomes', keys: 1, sealed: 1 },
      { topic: 'governance.dead-letters', keys: 2, sealed: 2 },
    ]);
    const [shared] = await database.query(
      `SELECT count(DISTINCT key_id)::int AS keys FROM record.history WHERE intent_id = $1 AND key_id IS NOT NULL`,
      [intentIdNamed('read')],
    );
    expect(shared).toEqual({ keys: 1 });
  });

  it('a process with another master key can neither read nor write it', async () => {
    await history.append(chainMessages('maria@shop.example'));
    const stranger = new PostgresHistory({ databaseUrl: database.url, keyFolder: join(folder, 'other-keys') });
    try {
      await expect(stranger.search({ agentId: 'payer', limit: 10 })).rejects.toMatchObject({
        code: 'REMIT_RECORD_OTHER_KEY',
      });
      await expect(stranger.append(chainMessages('x'))).rejects.toMatchObject({ code: 'REMIT_RECORD_OTHER_KEY' });
    } finally {
      await stranger.close();
    }
  });
});

describe('erasure', () => {
  const announced: Erasure[] = [];
  const announce = (erasure: Erasure): Promise<void> => {
    announced.push(erasure);
    return Promise.resolve();
  };

  it('of a person makes everything done on their behalf unreadable, leaves the proof, and spares the others', async () => {
    await history.append(chainMessages('maria@shop.example'));
    await closeEpoch();
    const done = await keeping.erase({ of: 'person', person: 'maria@shop.example' }, announce);
    expect(done).toMatchObject({ of: 'person', keys: 2, values: 3 });
    expect(announced.at(-1)).toEqual(done);
    expect(done.subject).not.toContain('maria');
    const fresh = new PostgresHistory(options);
    try {
      const entries = await fresh.search({ limit: 10 });
      expect(entries.map(({ topic, erased, value }) => [topic, erased === true, value === null])).toEqual([
        ['agent.actions', true, true],
        ['agent.decisions', false, false],
        ['agent.outcomes', true, true],
        ['agent.actions', true, true],
        ['agent.decisions', false, false],
      ]);
      const tree = foldChain('payroll', (await fresh.chain('payroll')).events);
      expect(tree.actions.map(({ outcome }) => outcome)).toEqual(['allow', 'deny']);
    } finally {
      await fresh.close();
    }
    expect(await record.verify(publicKey)).toMatchObject({ faults: [], proven: 5 });
    expect(await keeping.erase({ of: 'person', person: 'maria@shop.example' }, announce)).toMatchObject({ keys: 0 });
  });

  it('changes no gap, and an id used very often is reconciled from PostgreSQL page by page', async () => {
    const [intent, ...others] = decidedMessages('maria@shop.example');
    if (intent === undefined) throw new Error('no intent');
    // The same again, after everything else.
    const again = Array.from({ length: 1200 }, (_one, offset) => ({ ...intent, offset: 1 + offset }));
    await history.append([intent, ...others, ...again]);
    const found = async (of: PostgresHistory): Promise<(readonly [string, string])[]> => {
      const gaps: Gap[] = [];
      for await (const page of recordedGaps(of, {}, START * 2)) gaps.push(...page);
      return gaps.map(({ kind, agentId }) => [kind, agentId]);
    };
    const counted = countingReads(history);
    expect(await found(history)).toEqual([]);
    expect(counted).toEqual({ entries: 1200 + 5, atOnce: ENTRIES_PER_PAGE });
    const { events, leftOut } = await history.chain('payroll');
    expect([events.length, leftOut]).toEqual([5, 0]);
    await keeping.erase({ of: 'person', person: 'maria@shop.example' }, announce);
    const fresh = new PostgresHistory(options);
    try {
      expect(await found(fresh)).toEqual([]);
      const [read] = foldChain('payroll', (await fresh.chain('payroll')).events).actions;
      expect(read).toMatchObject({ erased: true, idReused: null, outcome: 'allow', reports: [{ status: 'executed' }] });
    } finally {
      await fresh.close();
    }
  });

  it('does not make an agent silent that had reported', async () => {
    const silent = async (of: PostgresHistory): Promise<string[]> => {
      const found: Gap[] = [];
      for await (const page of recordedGaps(of, {}, START * 2)) found.push(...page);
      return found.filter(({ kind }) => kind === 'allow-without-outcome').map(({ agentId }) => agentId);
    };
    const messages = chainMessages('maria@shop.example');
    const unreported = messages.filter(({ topic }) => topic !== TOPICS.agentOutcomes.name);
    await history.append(unreported);
    expect(await silent(history)).toEqual(['reader']);
    await history.append(messages);
    expect(await silent(history)).toEqual([]);
    await keeping.erase({ of: 'person', person: 'maria@shop.example' }, announce);
    const fresh = new PostgresHistory(options);
    try {
      expect(await silent(fresh)).toEqual([]);
    } finally {
      await fresh.close();
    }
  });

  it('of an intent or an agent destroys only their keys', async () => {
    await history.append(chainMessages('maria@shop.example'));
    const intentId = intentIdNamed('pay');
    expect(await keeping.erase({ of: 'intent', intentId }, announce)).toMatchObject({ keys: 1, values: 1 });
    expect(await keeping.erase({ of: 'agent', agentId: 'reader' }, announce)).toMatchObject({ keys: 1, values: 2 });
    const left = await database.query('SELECT count(*)::int AS keys FROM record.key_person');
    expect(left).toEqual([{ keys: 0 }]);
  });

  it.each([
    ['an intent', { of: 'intent', intentId: intentIdNamed('read') }, [true, false]],
    ['an agent', { of: 'agent', agentId: 'reader' }, [true, false]],
    ['a person', { of: 'person', person: 'maria@shop.example' }, [true, true]],
  ] as const)('of %s puts no agent of a chain in a worse or a better light', async (_, what, erased) => {
    await history.append(decidedMessages('maria@shop.example'));
    const treeOf = async (of: PostgresHistory) => foldChain('payroll', (await of.chain('payroll')).events);
    const told = ({ actions }: Awaited<ReturnType<typeof treeOf>>) =>
      actions.map(({ agentId, action, appendTime, cause, upstream, idReused, outcome, reports }) => ({
        ...{ agentId, action, appendTime, cause, upstream, idReused, outcome },
        reports: reports.map(({ status, appendTime: at }) => [status, at]),
      }));
    const before = await treeOf(history);
    expect(before.actions.map(({ erased: isErased }) => isErased)).toEqual([false, false]);
    await keeping.erase(what, announce);
    const fresh = new PostgresHistory(options);
    try {
      const after = await treeOf(fresh);
      expect(told(after)).toEqual(told(before));
      expect(after.actions.map(({ erased: isErased }) => isErased)).toEqual(erased);
      expect(after.actions[0]?.reports).toMatchObject([{ status: 'executed', erased: true, asDecided: null }]);
      expect(after.actions[1]).toMatchObject({ cause: { standing: 'proven' }, upstream: { proven: true } });
      expect(renderChain(after)).toContain('content erased');
      expect(renderChain(after)).not.toContain('CLAIMED');
      expect(renderChain(after)).not.toContain('does not hold');
    } finally {
      await fresh.close();
    }
  });

  it('that cannot be put on record does not happen', async () => {
    await history.append(chainMessages('maria@shop.example'));
    const refused = keeping.erase({ of: 'agent', agentId: 'payer' }, () => Promise.reject(new Error('no broker')));
    await expect(refused).rejects.toThrow('no broker');
    const [entry] = await history.search({ agentId: 'payer', limit: 1 });
    expect(entry?.value).not.toBeNull();
  });

  it('does not stop what comes later about the same intent from being stored, under another key', async () => {
    const [first, ...others] = chainMessages('maria@shop.example');
    if (first === undefined) throw new Error('no intent');
    await history.append([first]);
    await keeping.erase({ of: 'agent', agentId: 'reader' }, announce);
    const restarted = new PostgresHistory(options);
    try {
      expect(await restarted.append(others)).toBe(4);
      const report = await restarted.search({ outcome: 'executed', limit: 1 });
      expect(report[0]?.value).not.toBeNull();
    } finally {
      await restarted.close();
    }
  });
});

describe('evidence for someone who has only an export and a public key', () => {
  const search = { chainId: 'payroll' };

  async function recordWithCharter(): Promise<string> {
    const { message, digest } = charterMessage();
    const named = chainMessages('maria@shop.example').map((one) =>
      one.topic === TOPICS.agentDecisions.name
        ? {
            ...one,
            value: Buffer.from(
              String(one.value).replace(
                /"charter":\{"digest":(?:null|"[0-9a-f]{64}")/,
                `"charter":{"digest":"${digest}"`,
              ),
            ),
          }
        : one,
    );
    await history.append([message, ...named]);
    await closeEpoch();
    return digest;
  }

  it('a selection is verified in a bare process: every event proven, its text and charter borne out', async () => {
    const digest = await recordWithCharter();
    const pack = newFolder();
    await exportSelection(record, history, search, { folder: pack, now: START, opened: true });
    expect(readFileSync(join(pack, 'events.jsonl'), 'utf8')).toContain('DE02120300000000202051');
    expect(readFileSync(join(pack, 'charters', `${digest}.yaml`), 'utf8')).toBe(charterText);
    const { status, stdout } = verifyOffline('--export', pack, '--key', keyFile);
    expect(stdout).toContain('6 entries are proven by 1 checkpoint');
    expect(stdout).toContain('6 events read');
    expect(stdout).toContain('Nobody has touched it.');
    expect(status).toBe(0);
  });

  it('a sealed selection shows that the events exist, and nothing of what they say', async () => {
    await recordWithCharter();
    const pack = newFolder();
    await exportSelection(record, history, search, { folder: pack, now: START, opened: false });
    const proofs = readFileSync(join(pack, 'proofs.jsonl'), 'utf8');
    expect(proofs).not.toContain('DE0212');
    expect(await verifyPack(pack, { publicKey })).toMatchObject({ faults: [], proven: 6, opened: 0, unfounded: [] });
  });

  it('everything is verified in a bare process, and a change anywhere in it is located', async () => {
    await recordWithCharter();
    const pack = newFolder();
    await exportEverything(record, { folder: pack, now: START });
    const whole = verifyOffline('--export', pack, '--key', keyFile);
    expect(whole.stdout).toContain('6 entries are proven by 1 checkpoint');
    expect(whole.status).toBe(0);

    const file = join(pack, 'entries', 'agent.decisions', '0.jsonl');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    writeFileSync(file, lines.map((line) => line.replace('"outcome":"allow"', '"outcome":"deny"')).join('\n'));
    const changed = verifyOffline('--export', pack, '--key', keyFile, '--json');
    expect(changed.status).toBe(1);
    expect(JSON.parse(changed.stdout)).toMatchObject({
      faults: [{ kind: 'entry-altered', topic: 'agent.decisions', partition: 0, offset: 0, epoch: 1 }],
    });
    rmSync(file);
    const cut = verifyOffline('--export', pack, '--key', keyFile, '--json');
    expect(JSON.parse(cut.stdout)).toMatchObject({
      faults: [{ kind: 'entry-missing', topic: 'agent.decisions', partition: 0, offset: 0 }],
    });
  });

  it('what was changed in a selection, its readable text included, is found', async () => {
    await recordWithCharter();
    const pack = newFolder();
    await exportSelection(record, history, search, { folder: pack, now: START, opened: true });
    const events = join(pack, 'events.jsonl');
    writeFileSync(events, readFileSync(events, 'utf8').replaceAll('DE02120300000000202051', 'DE00000000000000000000'));
    const report = await verifyPack(pack, { publicKey });
    expect(report.unfounded).toHaveLength(2);
    const proofs = join(pack, 'proofs.jsonl');
    writeFileSync(proofs, readFileSync(proofs, 'utf8').replaceAll('"target":"ledger"', '"target":"reporting"'));
    const { status, stdout } = verifyOffline('--export', pack, '--key', keyFile);
    expect(stdout).toContain('THE RECORD HAS BEEN TOUCHED');
    expect(status).toBe(1);
  });

  const linesIn = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');
  const forged = (line: string): string => line.replaceAll('DE02120300000000202051', 'DE00000000000000000000');

  it.each([
    [
      'a forged text before the true one',
      (pack: string) => {
        const file = join(pack, 'events.jsonl');
        writeFileSync(
          file,
          linesIn(file)
            .flatMap((line) => [forged(line), line])
            .join('\n'),
        );
      },
    ],
    [
      'a forged value before the true one on the same line',
      (pack: string) => {
        const file = join(pack, 'events.jsonl');
        const [first = '', ...others] = linesIn(file);
        writeFileSync(file, [first.replace('{', '{"value":"forged",'), ...others].join('\n'));
      },
    ],
    [
      'forged texts in a pack that calls itself sealed',
      (pack: string) => {
        for (const name of ['events.jsonl', 'manifest.json']) {
          const text = forged(readFileSync(join(pack, name), 'utf8'));
          writeFileSync(join(pack, name), text.replace('"opened": true', '"opened": false'));
        }
      },
    ],
    [
      'a text that was taken out',
      (pack: string) => {
        const file = join(pack, 'events.jsonl');
        writeFileSync(file, linesIn(file).slice(1).join('\n'));
      },
    ],
    [
      'an entry that was taken out, its text too',
      (pack: string) => {
        for (const file of [join(pack, 'events.jsonl'), join(pack, 'proofs.jsonl')])
          writeFileSync(file, linesIn(file).slice(1).join('\n'));
      },
    ],
    [
      'an entry that stands there twice',
      (pack: string) => {
        const file = join(pack, 'proofs.jsonl');
        const [first = '', ...others] = linesIn(file);
        writeFileSync(file, [first, first, ...others].join('\n'));
      },
    ],
  ])('%s does not pass as evidence', async (_what, tamper) => {
    await recordWithCharter();
    const pack = newFolder();
    await exportSelection(record, history, search, { folder: pack, now: START, opened: true });
    tamper(pack);
    const { status, stdout } = verifyOffline('--export', pack, '--key', keyFile);
    expect(stdout).toContain('UNFOUNDED');
    expect(stdout).not.toContain('Nobody has touched');
    expect(status).toBe(1);
  });

  it.each([
    ['all of it without a single checkpoint', (pack: string) => writeFileSync(join(pack, 'checkpoints.jsonl'), '')],
    [
      'a second file for one partition',
      (pack: string) => {
        const topic = join(pack, 'entries', 'agent.decisions');
        copyFileSync(join(topic, '0.jsonl'), join(topic, '00.jsonl'));
      },
    ],
    ['texts that nothing in it bears out', (pack: string) => writeFileSync(join(pack, 'events.jsonl'), 'forged')],
    ['all of it without its entries', (pack: string) => rmSync(join(pack, 'entries'), { recursive: true })],
  ])('%s does not pass as everything', async (_what, tamper) => {
    await recordWithCharter();
    const pack = newFolder();
    await exportEverything(record, { folder: pack, now: START });
    tamper(pack);
    const { status, stdout } = verifyOffline('--export', pack, '--key', keyFile);
    expect(stdout).toMatch(/checkpoint-missing|entry-missing|UNFOUNDED|REMIT_RECORD_EXPORT_UNREADABLE/);
    expect(stdout).not.toContain('Nobody has touched');
    expect(status).toBe(1);
  });

  it('what came after the last checkpoint is not called untouched', async () => {
    await recordWithCharter();
    await history.append([{ ...charterMessage().message, offset: 1 }]);
    const pack = newFolder();
    await exportEverything(record, { folder: pack, now: START });
    const { status, stdout } = verifyOffline('--export', pack, '--key', keyFile);
    expect(stdout).toContain('1 entry is not yet proven');
    expect(stdout).toContain('Nobody has touched what is proven.');
    expect(status).toBe(0);
  });

  it('another key, or a checkpoint kept elsewhere that says otherwise, is not accepted', async () => {
    await recordWithCharter();
    const pack = newFolder();
    await exportEverything(record, { folder: pack, now: START });
    const kept = join(folder, 'kept.jsonl');
    copyFileSync(join(pack, 'checkpoints.jsonl'), kept);
    expect(verifyOffline('--export', pack, '--key', keyFile, '--checkpoint', kept).status).toBe(0);
    const broken = join(folder, 'broken.jsonl');
    writeFileSync(broken, `${readFileSync(kept, 'utf8').trimEnd()}\n{"format":`);
    expect(verifyOffline('--export', pack, '--key', keyFile, '--checkpoint', broken)).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^REMIT_CLI_FILE: .*broken\.jsonl, line \d+, is not JSON/) as unknown,
    });

    const otherKey = join(folder, 'other.pem');
    writeFileSync(otherKey, publicKeyPem(Buffer.alloc(32, 9)));
    expect(verifyOffline('--export', pack, '--key', otherKey).stdout).toContain('checkpoint-forged');

    await emptyRecord(database);
    await recordWithCharter();
    const rewritten = newFolder();
    await exportEverything(record, { folder: rewritten, now: START });
    expect(verifyOffline('--export', rewritten, '--key', keyFile).status).toBe(0);
    const { status, stdout } = verifyOffline('--export', rewritten, '--key', keyFile, '--checkpoint', kept);
    expect(stdout).toContain('range-rewritten');
    expect(status).toBe(1);
  });

  it('a single proof is accepted on its own, and not for another event', async () => {
    await recordWithCharter();
    const [entry] = await record.stored.withEventId('agent.decisions-1-0');
    if (entry === undefined) throw new Error('no entry');
    const proof = await record.prove(entry, START);
    const checkpoints = [];
    for await (const checkpoint of record.stored.checkpoints()) checkpoints.push(checkpoint);
    const file = join(folder, 'proof.json');
    writeFileSync(file, JSON.stringify({ format: 'remit.proof/1', proof, checkpoints }));
    expect(verifyOffline('--proof', file, '--key', keyFile)).toMatchObject({ status: 0 });
    const forged = { ...proof, entry: { ...proof.entry, agentId: 'somebody else' } };
    writeFileSync(file, JSON.stringify({ format: 'remit.proof/1', proof: forged, checkpoints }));
    expect(verifyOffline('--proof', file, '--key', keyFile)).toMatchObject({ status: 1 });
  });

  it('an entry that is not what was signed gets no proof, and nothing is signed for it', async () => {
    await recordWithCharter();
    const [entry] = await record.stored.withEventId('agent.decisions-1-0');
    if (entry === undefined) throw new Error('no entry');
    await record.prove(entry, START);
    const signed = await record.checkpoints.latest();
    await asIntruder(database, 'UPDATE record.history SET hash = $1 WHERE event_id = $2', [
      Buffer.alloc(32, 7),
      'agent.decisions-1-0',
    ]);
    const [altered] = await record.stored.withEventId('agent.decisions-1-0');
    if (altered === undefined) throw new Error('no entry');
    await expect(record.prove(altered, START)).rejects.toMatchObject({ code: 'REMIT_RECORD_ALTERED' });
    expect(await record.checkpoints.latest()).toEqual(signed);
  });
});

describe('while another process closes an epoch', () => {
  /** As `checkpoints.ts` has it. */
  const CLOSING_LOCK = 7_236_422;

  it('what was stored a moment ago is proven after it, is no false alarm, and is signed when somebody asks', async () => {
    await history.append(chainMessages('maria@shop.example'));
    const [entry] = await record.stored.withEventId('agent.decisions-1-0');
    if (entry === undefined) throw new Error('no entry');
    await database.query('SELECT pg_advisory_lock($1)', [CLOSING_LOCK]);
    const asked = Promise.all([record.prove(entry, START), record.checkpoints.signNow({ now: START })]);
    // both have to look, and find somebody at it
    const early = await Promise.race([asked.then(() => 'early'), sleep(500, 'they wait')]);
    await database.query('SELECT pg_advisory_unlock($1)', [CLOSING_LOCK]);
    const [proof, checkpoint] = await asked;
    expect(early).toBe('they wait');
    expect(proof.epoch).toBe(1);
    const { topic, partition, offset } = entry;
    expect(checkpoint.body.heads).toContainEqual(expect.objectContaining({ topic, partition, next: offset + 1 }));
  });
});

describe('retention', () => {
  const MONTH_MS = 31 * 24 * 60 * 60 * 1000;
  const at = (offset: number, appendTime: number): RecordedMessage => ({
    topic: TOPICS.agentDecisions.name,
    partition: 0,
    offset,
    appendTime,
    key: null,
    value: Buffer.from(String(offset)),
    headers: {},
  });
  const dropped: string[] = [];
  const announce = ({ months }: { months: readonly string[] }): Promise<void> => {
    dropped.push(...months);
    return Promise.resolve();
  };

  it('drops whole months, leaves their checkpoints, and the rest still verifies from the same key', async () => {
    await history.append([at(0, START), at(1, START), at(4, START + MONTH_MS), at(5, START + MONTH_MS)]);
    await closeEpoch();
    const done = await keeping.dropBefore('2025-12', START, announce);
    expect(done.entries).toBe(2);
    expect(dropped).toContain('2025-11');
    expect(await history.count()).toEqual(new Map([['agent.decisions', 2]]));
    expect(await record.verify(publicKey)).toMatchObject({ faults: [], proven: 3, dropped: 2, checkpoints: 2 });
    // Dropping is not a licence to delete.
    await asIntruder(database, 'DELETE FROM record.history WHERE "offset" = 4');
    expect(await record.verify(publicKey)).toMatchObject({
      faults: [{ kind: 'entry-missing', offset: 4, until: 5 }],
      dropped: 2,
    });
  });

  it('drops nothing that no checkpoint covers, and tears no hole', async () => {
    await history.append([at(0, START), at(1, START + MONTH_MS)]);
    await expect(keeping.dropBefore('2025-12', START, announce)).rejects.toMatchObject({
      code: 'REMIT_RECORD_NOT_DROPPABLE',
    });
    await history.append([at(2, START)]);
    await closeEpoch();
    await expect(keeping.dropBefore('2025-12', START, announce)).rejects.toMatchObject({
      code: 'REMIT_RECORD_NOT_DROPPABLE',
    });
    expect(await history.count()).toEqual(new Map([['agent.decisions', 3]]));
  });
});

describe('the roles of the database', () => {
  it('may do what they must and nothing else', async () => {
    const findings = await keeping.checkRoles();
    expect(findings.filter(({ ok }) => !ok)).toEqual([]);
    expect(findings.length).toBeGreaterThan(15);
  });

  it.each([
    ['remit_writer', `UPDATE record.history SET value = NULL`],
    ['remit_writer', `DELETE FROM record.history`],
    ['remit_writer', `UPDATE record.intent_key SET wrapped = NULL`],
    ['remit_writer', `DROP TABLE record.history`],
    ['remit_projector', `INSERT INTO record.chain_head (topic, "partition", hash) VALUES ('x', 0, '')`],
    ['remit_projector', `UPDATE record.intent_key SET wrapped = NULL`],
    ['remit_keeper', `UPDATE record.history SET value = NULL`],
    ['remit_keeper', `DELETE FROM record.history`],
    ['remit_keeper', `INSERT INTO record.checkpoint VALUES (1, '', '')`],
    ['remit_keeper', `UPDATE record.intent_key SET scope = ''`],
  ])('%s is refused: %s', async (role, sql) => {
    await database.query(`SET ROLE ${role}`);
    try {
      await expect(database.query(sql)).rejects.toThrow(/permission denied|must be owner/);
    } finally {
      await database.query('RESET ROLE');
    }
  });

  it('audit writes as the writer, whoever it logs in as', async () => {
    await database.query('REVOKE INSERT ON record.history FROM remit_writer');
    try {
      await expect(history.append(chainMessages('maria@shop.example'))).rejects.toMatchObject({
        code: 'REMIT_RECORD_REFUSED',
      });
    } finally {
      await database.query('GRANT INSERT ON record.history TO remit_writer');
    }
  });

  it('a missing guard is noticed', async () => {
    await database.query('ALTER TABLE record.checkpoint DISABLE TRIGGER no_delete');
    try {
      expect((await keeping.checkRoles()).filter(({ ok }) => !ok)).toHaveLength(1);
    } finally {
      await database.query('ALTER TABLE record.checkpoint ENABLE TRIGGER no_delete');
    }
  });
});

describe('what is derived from the record', () => {
  it('is the same whether it was kept up to date or built anew, however the messages came', async () => {
    const topics = [TOPICS.agentActions, TOPICS.agentDecisions, TOPICS.agentOutcomes];
    const declarations = [EVENTS.intent, EVENTS.decision, EVENTS.outcome];
    const outcomes = ['', 'allow', 'deny', 'hold', 'executed', 'failed', 'rolled-back'];
    const one = fc.record({
      kind: fc.nat(2),
      partition: fc.nat(1),
      agent: fc.constantFrom('reader', 'payer', '🦊', ''),
      outcome: fc.constantFrom(...outcomes),
      day: fc.nat(40),
      gap: fc.nat(1),
      readable: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(one, { maxLength: 12 }), { maxLength: 4 }), async (batches) => {
        await emptyRecord(database);
        const next = new Map<string, number>();
        for (const batch of batches) {
          const messages = batch.map(({ kind, partition, agent, outcome, day, gap, readable }): RecordedMessage => {
            const topic = topics[kind]?.name ?? '';
            const offset = (next.get(`${topic}${partition}`) ?? 0) + gap;
            next.set(`${topic}${partition}`, offset + 1);
            const event = writeEvent<unknown>(
              { ...(declarations[kind] ?? EVENTS.intent) },
              { id: 'e', source: '/test', subject: 's', data: { agentId: agent, outcome } },
            );
            return {
              topic,
              partition,
              offset,
              appendTime: START + day * 86_400_000,
              key: null,
              value: readable ? Buffer.from(event.value) : Buffer.from('{'),
              headers: { 'content-type': Buffer.from(event.headers['content-type']) },
            };
          });
          await history.append(messages);
          await projections.advance();
        }
        const { agentDays, chainHeads, searchColumns } = await projections.rebuild();
        expect([agentDays.differences, chainHeads.differences, searchColumns.differences]).toEqual([[], [], []]);
        expect(searchColumns.entries).toBe(batches.flat().length);
      }),
      { numRuns: 12 },
    );
  });

  it('a difference is found, and what was built anew can take its place', async () => {
    await history.append(chainMessages('maria@shop.example'));
    await projections.advance();
    const before = await projections.agentDays();
    await database.query(`UPDATE record.agent_day SET denied = 0 WHERE agent_id = 'payer'`);
    expect((await projections.rebuild()).agentDays.differences).toEqual(['payer on 2026-01-05']);
    await projections.replaceAgentDays();
    expect((await projections.rebuild()).agentDays.differences).toEqual([]);
    expect(await projections.agentDays()).toEqual(before);
    await asIntruder(database, `UPDATE record.history SET target = 'x' WHERE topic = 'agent.decisions'`);
    expect((await projections.rebuild()).searchColumns.differences).toHaveLength(2);
  });
});

describe('a restart in the middle of a batch', () => {
  it('leaves no half batch, no torn chain and no entry twice', async () => {
    const messages = chainMessages('maria@shop.example').flatMap((message) =>
      Array.from({ length: 300 }, (_, i) => ({ ...message, partition: 0, offset: i })).filter(
        () => message.offset === 0 && message.partition === 0,
      ),
    );
    const dying = new PostgresHistory({ ...options, applicationName: 'dying' });
    // The server ends its sessions while it stores: whatever it was doing is undone, whole.
    const stored = dying.append(messages).catch((error: unknown) => error);
    for (let i = 0; i < 40; i += 1) {
      await database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dying'`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await stored;
    await dying.close();
    const [half] = await database.query(
      `SELECT count(*) = coalesce((SELECT sum(entries) FROM record.chain_head), 0) AS whole FROM record.history`,
    );
    expect(half).toEqual({ whole: true });

    await history.append(messages);
    await history.append(messages);
    expect([...(await history.count()).values()].reduce((sum, count) => sum + count, 0)).toBe(messages.length);
    await closeEpoch();
    expect(await record.verify(publicKey)).toMatchObject({ faults: [], proven: messages.length });
  });
});
