import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import kafkajs, { type Admin, type Kafka, type Producer } from 'kafkajs';
import { v7 as uuidv7 } from 'uuid';
import type { RemitAgent } from '#agent';
import { AGENT_ACCESS, EVENTS, readEvent, SERVICE_ACCESS, TOPICS, writeEvent } from '#contracts';
import type { Action, Decision, Intent } from '#domain';
import { eventually, readDeadLetters, readTopic } from '#testing';
import { CHARTER_TEXT, PASSWORD, RUNNING_SERVICES, startSecuredWorld, type SecuredWorld } from './secured-world.js';

const CLOSE = { type: 'close', target: 'accounts' };
const PAY = { type: 'pay', target: 'accounts' };
const TOO_LARGE = 70 * 1024;

interface Written {
  readonly value: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How Kafka refuses a principal without the right. */
const NOT_AUTHORIZED = /AUTHORIZATION_FAILED|[Nn]ot authorized/;
/** kafkajs tells only this of a group or transaction that the broker does not let it find. */
const NO_COORDINATOR = /Failed to find group coordinator|AUTHORIZATION_FAILED|[Nn]ot authorized/;

describe('a hostile agent, which holds an agent’s credentials on the secured broker and tries everything', () => {
  let world: SecuredWorld;
  let kafka: Kafka;
  let producer: Producer;
  let admin: Admin;
  let honest: RemitAgent;

  beforeAll(async () => {
    world = await startSecuredWorld(['clerk', 'teller']);
    kafka = new kafkajs.Kafka({
      clientId: 'hostile',
      brokers: [world.broker.address],
      ssl: { ca: readFileSync(world.broker.caFile) },
      sasl: { mechanism: 'scram-sha-512', username: 'clerk', password: PASSWORD },
      logLevel: kafkajs.logLevel.NOTHING,
      retry: { retries: 2, initialRetryTime: 50 },
    });
    producer = kafka.producer();
    admin = kafka.admin();
    await Promise.all([producer.connect(), admin.connect()]);
    honest = await world.connect('teller');
  });

  afterAll(async () => {
    await Promise.all([producer.disconnect(), admin.disconnect(), honest.close()]);
    await world.stop();
  });

  /** What it appended has come to the dead letters, whole; resolves with its code. */
  async function codeOfDeadLetter(topic: string, key: string, message: Written): Promise<string> {
    const [at] = await producer.send({ topic, messages: [{ key, ...message }] });
    let code = '';
    await eventually(async () => {
      const letters = await readDeadLetters(world.administrator, TOPICS.deadLetters.name);
      const found = letters.find(
        (letter) =>
          letter.topic === topic && letter.partition === at?.partition && letter.offset === Number(at.baseOffset),
      );
      code = found?.code ?? '';
      return found !== undefined;
    });
    return code;
  }

  async function refusalOf(work: Promise<unknown>): Promise<string> {
    return work.then(
      () => 'it was allowed',
      (error: unknown) => inspect(error, { depth: 6 }),
    );
  }

  /** Joins a group and reads a topic: what came of it first. */
  async function consume(groupId: string, topic: string): Promise<string> {
    const consumer = kafka.consumer({ groupId, retry: { retries: 0 } });
    const ended = new Promise<string>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(inspect(payload.error)));
      consumer.on(consumer.events.FETCH, () => resolve('read'));
    });
    await consumer.connect();
    try {
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({ eachMessage: () => Promise.resolve() });
      return await ended;
    } catch (error) {
      return inspect(error);
    } finally {
      await consumer.disconnect();
    }
  }

  const notItsOwn = Object.values(TOPICS).filter(({ name }) => !AGENT_ACCESS.writes.some((own) => own.name === name));

  it.each(notItsOwn.map(({ name }) => name))('cannot write %s', async (topic) => {
    expect(await refusalOf(producer.send({ topic, messages: [{ key: 'clerk', value: '{}' }] }))).toMatch(
      NOT_AUTHORIZED,
    );
  });

  const notReadable = Object.values(TOPICS).filter(({ name }) => !AGENT_ACCESS.reads.some((own) => own.name === name));

  it('cannot read the audit topics, what other agents intend, permissions or charters: decisions alone', async () => {
    expect(await consume('agent-clerk.view.1', TOPICS.agentDecisions.name)).toBe('read');
    for (const { name } of notReadable) {
      expect([name, await consume(`agent-clerk.view.${name}`, name)]).toEqual([
        name,
        expect.stringMatching(NOT_AUTHORIZED),
      ]);
    }
  });

  it.each([
    ['bytes that are no JSON', TOPICS.agentActions.name, Buffer.from([0, 255, 1]), 'REMIT_EVENT_NOT_JSON'],
    ['nothing', TOPICS.agentOutcomes.name, Buffer.alloc(0), 'REMIT_EVENT_EMPTY'],
  ])('%s to %s becomes a dead letter', async (_, topic, value, code) => {
    expect(await codeOfDeadLetter(topic, 'clerk', { value })).toBe(code);
  });

  it('an intent of 70 KiB becomes a dead letter', async () => {
    const { value, headers } = intentOf('clerk', { ...PAY, parameters: { note: 'x'.repeat(TOO_LARGE) } });
    expect(await codeOfDeadLetter(TOPICS.agentActions.name, 'clerk', { value, headers })).toBe('REMIT_EVENT_TOO_LARGE');
  });

  it('a forged command, charter, permission event or decision on a topic of its own becomes a dead letter', async () => {
    const command = writeEvent(EVENTS.permissionCommand, {
      id: 'forged',
      source: '/remit/door',
      subject: 'teller',
      data: { command: 'SuspendAgent', agentId: 'teller', commandId: 'forged', by: 'gwen', reason: 'forged' },
    });
    const others = [EVENTS.charterEvent, EVENTS.permissionEvent, EVENTS.decision].map(({ type }) => ({
      headers: command.headers,
      value: JSON.stringify({ ...(JSON.parse(command.value) as object), type }),
    }));
    const forged: Written[] = [command, ...others];
    for (const { name } of AGENT_ACCESS.writes) {
      for (const written of forged) {
        const code = await codeOfDeadLetter(name, 'clerk', written);
        expect([name, code]).toEqual([name, 'REMIT_EVENT_WRONG_TYPE']);
      }
    }
  });

  it('cannot release its own hold: a re-evaluation that Remit has not signed becomes a dead letter', async () => {
    const proposal = intentOf('clerk', CLOSE);
    expect((await decisionOn(proposal, 'clerk')).outcome).toBe('hold');
    const again = writeEvent(EVENTS.resubmittedIntent, {
      id: uuidv7(),
      source: '/remit/permission',
      subject: 'clerk',
      data: { intent: proposal.intent, round: 2, requestId: uuidv7() },
    });
    const refused = ['REMIT_INTENT_NOT_SIGNED', 'REMIT_SIGNATURE_MISSING'];
    expect(refused).toContain(await codeOfDeadLetter(TOPICS.agentActions.name, 'clerk', again));
    const decisions = await decisionsOn(proposal.intent.intentId);
    expect(decisions.map(({ outcome }) => outcome)).toEqual(['hold']);
  });

  it('an intent in another’s name under its own key becomes a dead letter', async () => {
    expect(await codeOfDeadLetter(TOPICS.agentActions.name, 'clerk', intentOf('teller', PAY))).toBe(
      'REMIT_INTENT_KEY_MISMATCH',
    );
  });

  it('an intent in another’s name under that name’s key is judged as that agent’s: its own authority never grows', async () => {
    // no rule of Kafka says which key a principal writes: this is what a broker does not prevent
    const borrowed = await decisionOn(intentOf('teller', PAY), 'teller');
    expect([borrowed.agentId, borrowed.outcome]).toEqual(['teller', 'allow']);
    const own = await decisionOn(intentOf('clerk', PAY), 'clerk');
    expect([own.agentId, own.outcome]).toEqual(['clerk', 'deny']);
  });

  it('cannot join the group of a service or of another agent, nor move what they have read', async () => {
    const groups = [
      ...RUNNING_SERVICES.flatMap((service) => SERVICE_ACCESS[service].groups),
      'remit.view.guessed',
      'agent-teller.view.guessed',
    ];
    for (const groupId of groups) {
      const joined = await consume(groupId, TOPICS.agentDecisions.name);
      expect([groupId, joined]).toEqual([groupId, expect.stringMatching(NO_COORDINATOR)]);
      const offsets = { groupId, topic: TOPICS.agentDecisions.name, partitions: [{ partition: 0, offset: '0' }] };
      const moved = await refusalOf(admin.setOffsets(offsets));
      expect([groupId, moved]).toEqual([groupId, expect.stringMatching(NO_COORDINATOR)]);
    }
  });

  it('cannot open a transaction, under which readers might wait', async () => {
    const transactional = kafka.producer({ transactionalId: 'remit', idempotent: true, maxInFlightRequests: 1 });
    const refused = await refusalOf(transactional.connect().then(() => transactional.transaction()));
    await transactional.disconnect();
    expect(refused).toMatch(NO_COORDINATOR);
    // with the right, the same works
    const open = new kafkajs.Kafka({
      brokers: [world.broker.administration],
      logLevel: kafkajs.logLevel.NOTHING,
      // the first transaction of a broker waits for a topic that it has yet to make
      retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 60 },
    }).producer({ transactionalId: 'remit', idempotent: true, maxInFlightRequests: 1 });
    await open.connect();
    await (await open.transaction()).abort();
    await open.disconnect();
  });

  it('cannot delete messages or topics, create topics or partitions, alter settings, or give itself rights', async () => {
    const topic = TOPICS.agentActions.name;
    // kafkajs finds the leaders of a topic only when it has been asked about it
    await admin.fetchTopicOffsets(topic);
    const attempts: Record<string, () => Promise<unknown>> = {
      'delete messages': () => admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '1' }] }),
      'delete a topic': () => admin.deleteTopics({ topics: [topic] }),
      'create a topic': () => admin.createTopics({ topics: [{ topic: 'mine' }] }),
      'create partitions': () => admin.createPartitions({ topicPartitions: [{ topic, count: 24 }] }),
      'alter settings': () =>
        admin.alterConfigs({
          validateOnly: false,
          resources: [
            {
              type: kafkajs.ConfigResourceTypes.TOPIC,
              name: topic,
              configEntries: [{ name: 'retention.ms', value: '1' }],
            },
          ],
        }),
      'give itself rights': () =>
        admin.createAcls({
          acl: [
            {
              resourceType: kafkajs.AclResourceTypes.TOPIC,
              resourceName: TOPICS.permissionCommands.name,
              resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL,
              principal: 'User:clerk',
              host: '*',
              operation: kafkajs.AclOperationTypes.WRITE,
              permissionType: kafkajs.AclPermissionTypes.ALLOW,
            },
          ],
        }),
    };
    for (const [attempt, work] of Object.entries(attempts)) {
      expect([attempt, await refusalOf(work())]).toEqual([attempt, expect.stringMatching(NOT_AUTHORIZED)]);
    }
    expect(await refusalOf(admin.deleteGroups(['remit.audit']))).toMatch(NO_COORDINATOR);
  });

  it('has stopped nothing: every service is ready, topics are as they were, and another agent is decided on', async () => {
    expect((await honest.propose({ type: 'view', target: 'accounts' })).outcome).toBe('allow');
    expect((await honest.propose(CLOSE)).outcome).toBe('deny');
    await world.administrator.ensureTopics(Object.values(TOPICS));
    for (const app of world.apps) {
      await eventually(async () => (await app.readyStatus()) === 200);
    }
    expect(await world.remit(['charter', 'show'])).toContain(CHARTER_TEXT.split('\n')[1]?.split(': ')[1] ?? '');
  });

  it('has left traces: what it wrote lies in the audit log, with where it lay in Kafka', async () => {
    await eventually(async () => {
      const rows = await world.asLogin(
        'auditor',
        `SELECT FROM record.history WHERE topic = '${TOPICS.deadLetters.name}' LIMIT 10`,
      );
      return rows.length === 10;
    });
  });

  interface Proposal {
    readonly value: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly intent: Intent;
  }

  function intentOf(agentId: string, action: Action): Proposal {
    const intent = { intentId: uuidv7(), agentId, action };
    const source = `/agents/${agentId}`;
    return { ...writeEvent(EVENTS.intent, { id: intent.intentId, source, subject: agentId, data: intent }), intent };
  }

  async function decisionsOn(intentId: string): Promise<Decision[]> {
    const messages = await readTopic(world.administrator, TOPICS.agentDecisions.name);
    return messages.flatMap((message) => {
      const reading = readEvent(EVENTS.decision, message);
      return reading.ok && reading.event.data.intentId === intentId ? [reading.event.data] : [];
    });
  }

  async function decisionOn({ value, headers, intent }: Proposal, key: string): Promise<Decision> {
    await producer.send({ topic: TOPICS.agentActions.name, messages: [{ key, value, headers }] });
    let found: Decision | undefined;
    await eventually(async () => {
      [found] = await decisionsOn(intent.intentId);
      return found !== undefined;
    });
    if (found === undefined) throw new Error('there is no decision');
    return found;
  }
});
