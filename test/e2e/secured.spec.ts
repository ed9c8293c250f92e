import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { codeOf, KafkaBus } from '#bus';
import {
  AGENT_ACCESS,
  DATABASE_LOGINS,
  DATABASE_ROLES,
  EVENTS,
  SERVICE_ACCESS,
  sha256,
  TOPICS,
  writeEvent,
  type DatabaseLogin,
  type DatabaseLoginName,
} from '#contracts';
import { checkCharter } from '#domain';
import { EVENT_STORE_RIGHTS, EVENT_STORE_SCHEMA } from '#event-store';
import { RECORD_RIGHTS, RECORD_SCHEMA } from '#record';
import { eventually, readDeadLetters } from '#testing';
import { CHARTER_TEXT, PASSWORD, RUNNING_SERVICES, startSecuredWorld, type SecuredWorld } from './secured-world.js';

const ARCHIVE = { type: 'archive', target: 'accounts' };
const VIEW = { type: 'view', target: 'accounts' };
/** As the charter, with a milder stage: as good as any other text to see whether it is in force. */
const FORGED_TEXT = CHARTER_TEXT.replace('stage: enforce', 'stage: observe');

describe('Remit on a secured Kafka and PostgreSQL, with the rights of `remit kafka acls` and `remit database roles`, and a signing key for each service', () => {
  let world: SecuredWorld;

  beforeAll(async () => {
    world = await startSecuredWorld(['clerk', 'teller']);
  });

  afterAll(() => world.stop());

  it('an agent gets its decisions, signed by the policy service, with nothing but an agent’s rights', async () => {
    const agent = await world.connect('clerk');
    expect((await agent.propose(VIEW)).outcome).toBe('allow');
    expect((await agent.propose({ type: 'delete', target: 'accounts' })).outcome).toBe('deny');
    await agent.close();
  });

  it('an agent’s credentials write intents, outcomes and requests, read decisions, and nothing else', async () => {
    const bus = new KafkaBus({
      brokers: [world.broker.address],
      security: world.securityOf('clerk'),
      topics: Object.values(TOPICS),
    });
    const [mayWrite, mayRead] = [AGENT_ACCESS.writes, AGENT_ACCESS.reads].map(
      (topics) => new Set(topics.map(({ name }) => name)),
    );
    for (const { name } of Object.values(TOPICS)) {
      const written = await bus.publish([{ topic: name, key: 'clerk', value: 'x' }]).then(() => 'written', codeOf);
      expect([name, written]).toEqual([name, mayWrite?.has(name) ? 'written' : 'REMIT_BUS_NOT_ALLOWED']);
      const ends = await bus.ends([name]).then(() => 'known', codeOf);
      const mayAsk = mayWrite?.has(name) === true || mayRead?.has(name) === true;
      expect([name, ends]).toEqual([name, mayAsk ? 'known' : 'REMIT_BUS_NOT_ALLOWED']);
    }
    await bus.close();
  });

  it('a service may write only what is its own', async () => {
    for (const service of RUNNING_SERVICES) {
      const security = world.securityOf(`remit-${service}`);
      const bus = new KafkaBus({ brokers: [world.broker.address], security, topics: Object.values(TOPICS) });
      const own: readonly { readonly name: string }[] = SERVICE_ACCESS[service].writes;
      const foreign = Object.values(TOPICS).find(({ name }) => !own.some((topic) => topic.name === name));
      const written = await bus
        .publish([{ topic: foreign?.name ?? '', key: 'x', value: 'x' }])
        .then(() => 'written', codeOf);
      expect([service, written]).toEqual([service, 'REMIT_BUS_NOT_ALLOWED']);
      await bus.close();
    }
  });

  it('whoever gets past the broker commands nothing: a forged charter, command and decision change nothing', async () => {
    const checked = checkCharter(FORGED_TEXT, sha256);
    if (!checked.ok) throw new Error('the forged charter must be a right one');
    const { name, digest } = checked.charter;
    const charterEvent = writeEvent(EVENTS.charterEvent, {
      id: 'forged',
      source: '/remit/charter',
      subject: name,
      data: {
        event: 'CharterActivated',
        charter: name,
        digest,
        text: FORGED_TEXT,
        activatedBy: 'gwen',
        commandId: 'forged',
      },
    });
    const command = writeEvent(EVENTS.permissionCommand, {
      id: 'forged',
      source: '/remit/door',
      subject: 'clerk',
      data: { command: 'SuspendAgent', agentId: 'clerk', commandId: 'forged', by: 'gwen', reason: 'forged' },
    });
    await world.administrator.publish([
      { topic: TOPICS.charterEvents.name, key: 'charter', ...charterEvent },
      { topic: TOPICS.permissionCommands.name, key: 'clerk', ...command },
    ]);
    await eventually(async () => {
      const letters = await readDeadLetters(world.administrator, TOPICS.deadLetters.name);
      const refused = letters.filter(({ code }) => code === 'REMIT_SIGNATURE_MISSING').map(({ topic }) => topic);
      return refused.includes(TOPICS.charterEvents.name) && refused.includes(TOPICS.permissionCommands.name);
    });
    const agent = await world.connect('clerk');
    expect((await agent.propose(VIEW)).outcome).toBe('allow');
    const denied = await agent.propose({ type: 'delete', target: 'accounts' });
    expect([denied.outcome, denied.decision?.stage]).toEqual(['deny', 'enforce']);
    await agent.close();
  });

  it('a grant with one use is reserved and used up by services that may only append to the event store', async () => {
    await world.remit([
      ...['permissions', 'grant', 'clerk', 'send_report', '--for', '15m', '--uses', '1', '--reason', 'a report'],
    ]);
    const agent = await world.connect('clerk');
    const first = await agent.propose({ type: 'send_report', target: 'accounts' });
    const second = await agent.propose({ type: 'send_report', target: 'accounts' });
    expect([first.outcome, second.outcome]).toEqual(['allow', 'deny']);
    await agent.close();
  });

  it('a grant that demands a proven chain applies where the agent carries the decision behind it, and to no altered or claimed one', async () => {
    await world.remit([
      ...[
        'permissions',
        'grant',
        'clerk',
        'archive',
        '--for',
        '15m',
        '--proven-from',
        'teller',
        '--reason',
        'year end',
      ],
    ]);
    const [teller, clerk] = await Promise.all([world.connect('teller'), world.connect('clerk')]);
    const asked = await teller.propose(VIEW, { chainId: 'year end' });
    expect([asked.outcome, asked.proof === undefined]).toEqual(['allow', false]);
    const proof = asked.proof ?? { decision: '', signature: '' };
    const { agentId, intentId, chainId } = asked;

    const proven = await clerk.propose(ARCHIVE, { cause: asked });
    expect([proven.outcome, proven.decision?.stamp.cause]).toEqual(['allow', { standing: 'proven', from: 'teller' }]);
    expect(proven.decision?.cause).toEqual({ agentId, intentId });

    const denied = await teller.propose({ type: 'delete', target: 'accounts' }, { chainId });
    const altered = { decision: proof.decision.replaceAll(intentId, denied.intentId), signature: proof.signature };
    const own = await clerk.propose(VIEW, { chainId });
    for (const options of [
      { cause: { agentId, intentId }, chainId },
      { cause: { agentId, intentId: denied.intentId, proof: altered }, chainId },
      { cause: { agentId, intentId, proof }, chainId: 'another chain' },
      { chainId },
      // a chain of the same name that it begins itself
      { cause: own },
    ]) {
      const refused = await clerk.propose(ARCHIVE, options);
      expect([refused.outcome, refused.because]).toEqual([
        'deny',
        [expect.stringContaining('constraint broken: provenFrom')],
      ]);
    }
    await Promise.all([teller.close(), clerk.close()]);
    await eventually(async () => {
      const said = await world.remit(['chain', 'year end'], { DATABASE_URL: world.urlOf('auditor') });
      return said.includes('on a cause proven from teller') && said.includes('on a cause that is claimed');
    });
  });

  it('each login of the database may do to each table what the table of rights says, and nothing else', async () => {
    const rights = [
      ...EVENT_STORE_RIGHTS.map((one) => ({ ...one, schema: EVENT_STORE_SCHEMA })),
      ...Object.values(RECORD_RIGHTS).map((one) => ({ ...one, schema: RECORD_SCHEMA })),
    ];
    const tables = await world.database.query(
      `SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('record', 'event_store')`,
    );
    expect(tables.length).toBeGreaterThan(15);
    for (const [login, { roles, ...rest }] of Object.entries<DatabaseLogin>(DATABASE_LOGINS)) {
      if (rest.owns === true) continue;
      const names: readonly string[] = roles.map((role) => DATABASE_ROLES[role]);
      for (const { name } of tables) {
        const wanted = new Set(
          rights
            .filter(({ role }) => names.includes(role))
            .flatMap(({ schema, tables: of }) =>
              Object.entries(of).flatMap(([table, can]) => (`${schema}.${table}` === name ? can : [])),
            ),
        );
        const [held] = await world.database.query(
          `SELECT array(SELECT privilege
             FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
             WHERE has_table_privilege($1, $2, privilege)) AS can`,
          [world.loginOf(login as DatabaseLoginName), name],
        );
        expect([login, name, new Set(held?.['can'] as string[])]).toEqual([login, name, wanted]);
      }
    }
  });

  it.each([
    ['audit', 'UPDATE record.history SET value = NULL'],
    ['audit', 'DELETE FROM record.history'],
    ['audit', 'TRUNCATE record.history'],
    ['audit', 'ALTER TABLE record.history DISABLE TRIGGER ALL'],
    ['audit', 'DROP SCHEMA record CASCADE'],
    ['audit', `SELECT record.drop_month('2026-01-01')`],
    ['audit', 'UPDATE record.intent_key SET wrapped = NULL'],
    ['audit', 'SELECT * FROM event_store.event'],
    ['audit', 'CREATE TABLE public.mine ()'],
    ['permission', 'SELECT * FROM record.history'],
    ['permission', `UPDATE event_store.event SET event = '{}'`],
    ['permission', 'CREATE SCHEMA mine'],
    ['verifier', 'DELETE FROM event_store.event'],
    ['verifier', `UPDATE event_store.event SET event = '{}'`],
    ['policy', 'SELECT * FROM record.intent_key'],
    ['policy', 'UPDATE event_store.command SET to_version = 1'],
    ['policy', 'SET ROLE remit_writer'],
    ['auditor', 'INSERT INTO record.published_checkpoint VALUES (1)'],
    ['auditor', 'DELETE FROM record.history'],
    ['records_office', 'UPDATE record.history SET value = NULL'],
    ['records_office', 'DELETE FROM record.checkpoint'],
  ] as const)('the login of %s is refused: %s', async (login, sql) => {
    await expect(world.asLogin(login, sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('not even the owner of the tables alters or deletes an entry of the audit log', async () => {
    await eventually(async () => (await world.asLogin('auditor', 'SELECT FROM record.history LIMIT 1')).length > 0);
    for (const sql of ['UPDATE record.history SET value = NULL', 'DELETE FROM record.history']) {
      await expect(world.asLogin('owner', sql)).rejects.toThrow('REMIT_RECORD_APPEND_ONLY');
    }
  });

  it('an auditor reads the audit log with a login that can write nothing', async () => {
    await eventually(async () => {
      const said = await world.remit(['audit', 'search', '--agent', 'clerk'], { DATABASE_URL: world.urlOf('auditor') });
      return said.includes('send_report');
    });
  });

  it('no log of a service holds a password', () => {
    for (const app of world.apps) expect(app.output()).not.toContain(PASSWORD);
  });
});
