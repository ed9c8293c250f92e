import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs from 'kafkajs';
import { KafkaBus, type BusReport, type ConsumptionWatch, type KafkaBusOptions } from '#bus';
import { eventually, requireKafka, suiteTopics, textOf } from '#testing';
import {
  COORDINATOR_LOAD_IN_PROGRESS,
  HEARTBEAT,
  JOIN_GROUP,
  NOT_COORDINATOR,
  openBrokerLine,
  UNKNOWN_MEMBER_ID,
  type BrokerLine,
} from './broker-line.js';

describe('promise 2: a reader that the brokers have put off', () => {
  const [broker = ''] = requireKafka();
  const topics = suiteTopics('standstill');
  const agent = new KafkaBus({ brokers: [broker], deadLetterTopic: topics.dead.name });
  const admin = new kafkajs.Kafka({ brokers: [broker], logLevel: kafkajs.logLevel.NOTHING }).admin();
  const open: { close(): Promise<unknown> }[] = [agent];

  beforeAll(async () => {
    await agent.ensureTopics(Object.values(topics));
    await admin.connect();
  });
  afterAll(async () => {
    await admin.disconnect();
    for (const one of open.reverse()) await one.close();
  });

  /** A service on a line of its own to the broker, and what it reports. */
  async function serviceOnLine(
    options: Partial<KafkaBusOptions> = {},
  ): Promise<{ bus: KafkaBus; line: BrokerLine; reports: BusReport[] }> {
    const line = await openBrokerLine(broker);
    const reports: BusReport[] = [];
    const bus = new KafkaBus({
      brokers: [broker],
      deadLetterTopic: topics.dead.name,
      connection: { socketFactory: line.socketFactory },
      log: (report) => reports.push(report),
      ...options,
    });
    open.push(line, bus);
    return { bus, line, reports };
  }

  async function consuming(bus: KafkaBus, group: string): Promise<string[]> {
    const handled: string[] = [];
    const consumption = await bus.consume({ group: `standstill.${group}`, topics: [topics.in.name] }, (batch) => {
      handled.push(...batch.messages.map(textOf));
      return Promise.resolve({ publish: [], unreadable: [] });
    });
    await eventually(() => consumption.settled());
    return handled;
  }

  /** The members of a group, as its coordinator calls them. */
  async function membersOf(group: string): Promise<string[]> {
    const { groups } = await admin.describeGroups([`standstill.${group}`]);
    return groups.flatMap(({ members }) => members.map(({ memberId }) => memberId));
  }

  async function reaches(handled: readonly string[], value: string): Promise<void> {
    await agent.publish([{ topic: topics.in.name, key: 'agent', value }]);
    await eventually(() => handled.includes(value));
  }

  it('a member whose join is refused while its coordinator still loads the group consumes again', async () => {
    const { bus, line } = await serviceOnLine();
    const handled = await consuming(bus, 'loading');
    await reaches(handled, 'before the fault');
    line.refuse(HEARTBEAT, NOT_COORDINATOR);
    line.refuse(JOIN_GROUP, COORDINATOR_LOAD_IN_PROGRESS);
    await eventually(() => line.allHappened());
    await reaches(handled, 'after the fault');
    expect(handled).toEqual(['before the fault', 'after the fault']);
  });

  it('a member whose join is never answered is made anew, says so, and consumes again', async () => {
    const renewed: string[] = [];
    const watch = { joined: () => undefined, worked: () => undefined, renewed: one(renewed) };
    const { bus, line, reports } = await serviceOnLine({ renewAfterMs: 2000, watch });
    const handled = await consuming(bus, 'unanswered');
    await reaches(handled, 'before the silence');
    line.refuse(HEARTBEAT, NOT_COORDINATOR);
    line.swallow(JOIN_GROUP);
    await eventually(() => renewed.length > 0);
    await reaches(handled, 'after the silence');
    expect(renewed).toContain('standstill.unanswered');
    expect(reports.map(({ level, code }) => `${level} ${code}`)).toContain('warn REMIT_BUS_STANDSTILL');
    await eventually(() => bus.standstills().every(({ ms }) => ms === 0));
  });

  it('a member that is made anew takes its own place, so that its group does not wait for its session to end', async () => {
    const { bus, line } = await serviceOnLine({ renewAfterMs: 2000 });
    const handled = await consuming(bus, 'place');
    const before = await membersOf('place');
    expect(before).toHaveLength(1);
    line.refuse(HEARTBEAT, NOT_COORDINATOR);
    line.swallow(JOIN_GROUP);
    await eventually(() => line.allHappened());
    await reaches(handled, 'in the same place');
    expect(await membersOf('place')).toEqual(before);
  });

  it('a member that never heard that it had joined takes the place that it was given', async () => {
    const { bus, line } = await serviceOnLine({ renewAfterMs: 2000 });
    // the first answer gives it an id, the second its place
    line.lose(JOIN_GROUP, 1);
    const consumed = consuming(bus, 'unheard');
    await eventually(() => line.allHappened());
    await eventually(async () => (await membersOf('unheard')).length > 0);
    const given = await membersOf('unheard');
    await reaches(await consumed, 'in the place it was given');
    expect(await membersOf('unheard')).toEqual(given);
  });

  it('a member that the coordinator has forgotten joins as a new one', async () => {
    const { bus, line } = await serviceOnLine();
    const handled = await consuming(bus, 'forgotten');
    const before = await membersOf('forgotten');
    line.refuse(HEARTBEAT, UNKNOWN_MEMBER_ID);
    line.refuse(JOIN_GROUP, UNKNOWN_MEMBER_ID);
    await eventually(() => line.allHappened());
    await reaches(handled, 'as a new member');
    const after = await membersOf('forgotten');
    expect(after).not.toContain(before[0]);
  });

  it('a view whose join is never answered is made anew, says so, and misses nothing', async () => {
    const renewed: string[] = [];
    const watch = { joined: () => undefined, worked: () => undefined, renewed: one(renewed) };
    const { bus, line } = await serviceOnLine({ renewAfterMs: 2000, watch });
    const seen: string[] = [];
    await bus.follow({ topics: [topics.out.name], from: 'end' }, (messages) => seen.push(...messages.map(textOf)));
    await agent.publish([{ topic: topics.out.name, key: 'agent', value: 'one' }]);
    line.refuse(HEARTBEAT, NOT_COORDINATOR);
    line.swallow(JOIN_GROUP);
    await eventually(() => line.allHappened());
    await agent.publish([{ topic: topics.out.name, key: 'agent', value: 'two' }]);
    await eventually(() => seen.includes('two'));
    expect(seen).toEqual(['one', 'two']);
    expect(renewed).toContain('view');
  });

  it('a member that cannot join for good stands still for as long as that lasts, although the brokers answer', async () => {
    const { bus, line } = await serviceOnLine({ renewAfterMs: 2000 });
    const handled = await consuming(bus, 'hopeless');
    await reaches(handled, 'before it');
    line.refuse(HEARTBEAT, NOT_COORDINATOR);
    line.refuse(JOIN_GROUP, COORDINATOR_LOAD_IN_PROGRESS, Infinity);
    await eventually(() => bus.standstills().some(({ reader, ms }) => reader.group.endsWith('hopeless') && ms > 4000));
    line.relent();
    await reaches(handled, 'after it');
    await eventually(() => bus.standstills().every(({ ms }) => ms === 0));
  });
});

function one(groups: string[]): ConsumptionWatch['renewed'] {
  return ({ group }) => void groups.push(group);
}
