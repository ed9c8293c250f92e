import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import kafkajs, { type Cluster } from 'kafkajs';
import { KafkaBus } from '#bus';
import { eventually, suiteTopics, textOf } from '#testing';
import { startOwnCluster, type OwnCluster, type OwnNode } from './own-broker.js';

describe('promise 2: a group whose coordinator', () => {
  const topics = suiteTopics('lost-coordinator');
  let cluster: OwnCluster;
  let bus: KafkaBus;

  beforeAll(async () => {
    cluster = await startOwnCluster(3);
    bus = new KafkaBus({ brokers: cluster.addresses, deadLetterTopic: topics.dead.name, replicationFactor: 3 });
    await bus.ensureTopics(Object.values(topics));
  });

  afterAll(async () => {
    for (const node of cluster.nodes) node.thaw();
    await bus.close();
    await cluster.remove();
  });

  /** The broker that looks after the group. */
  async function coordinatorOf(groupId: string): Promise<OwnNode> {
    let known: Cluster | undefined;
    const consumer = new kafkajs.Kafka({ brokers: [...cluster.addresses], logLevel: 0 }).consumer({
      groupId,
      partitionAssigners: [
        (given) => {
          known = given.cluster;
          return kafkajs.PartitionAssigners.roundRobin(given);
        },
      ],
    });
    await consumer.connect();
    await known?.addMultipleTargetTopics([topics.in.name]);
    const coordinator = (await known?.findGroupCoordinator({ groupId })) as unknown as { readonly nodeId: string };
    await consumer.disconnect();
    const node = cluster.nodes[Number(coordinator.nodeId) - 1];
    if (node === undefined) throw new Error(`no broker ${coordinator.nodeId}`);
    return node;
  }

  it.each([
    {
      happens: 'freezes while a batch is in hand',
      group: 'lost-coordinator.frozen',
      fault: (node: OwnNode) => Promise.resolve(node.freeze()),
      mend: (node: OwnNode) => Promise.resolve(node.thaw()),
    },
    // last: a broker that comes back from the dead is behind the others for a while
    {
      happens: 'dies for good while a batch is in hand',
      group: 'lost-coordinator.dead',
      fault: (node: OwnNode) => node.kill(),
      mend: (node: OwnNode) => node.start(),
    },
  ])('$happens goes on with another one', async ({ group, fault, mend }) => {
    const handled: string[] = [];
    let goOn = (): void => undefined;
    const faultHappened = new Promise<void>((resolve) => (goOn = resolve));
    const consumption = await bus.consume({ group, topics: [topics.in.name] }, async (batch) => {
      const texts = batch.messages.map(textOf);
      handled.push(...texts);
      if (texts.includes(`${group}: in hand`)) await faultHappened;
      return { publish: [], unreadable: [] };
    });
    await eventually(() => consumption.settled());
    const coordinator = await coordinatorOf(group);
    await bus.publish([{ topic: topics.in.name, key: 'agent', value: `${group}: in hand` }]);
    await eventually(() => handled.includes(`${group}: in hand`));
    await fault(coordinator);
    goOn();
    const agent = new KafkaBus({ brokers: cluster.addresses, deadLetterTopic: topics.dead.name });
    await eventually(() =>
      agent.publish([{ topic: topics.in.name, key: 'agent', value: `${group}: next` }]).then(
        () => true,
        () => false,
      ),
    );
    await eventually(() => handled.includes(`${group}: next`));
    await agent.close();
    await mend(coordinator);
    await consumption.stop();
    expect(handled.slice(0, 2)).not.toContain(`${group}: next`);
  });
});
