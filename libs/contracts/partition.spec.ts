import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Partitioners } from 'kafkajs';
import { partitionOfAgent, partitionOfKey } from './partition.js';
import { AGENT_PARTITIONS } from './topics.js';

function partitionByKafkajs(key: Buffer, partitions: number): number {
  const partitioner = Partitioners.DefaultPartitioner();
  const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({ partitionId, leader: 1 }));
  return partitioner({
    topic: 'agent.actions',
    message: { key, value: null },
    partitionMetadata: partitionMetadata as never,
  });
}

describe('promise 1: an agent has one partition everywhere', () => {
  it('any key lies where the Kafka client puts it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 64 }), (bytes, partitions) => {
        expect(partitionOfKey(bytes, partitions)).toBe(partitionByKafkajs(Buffer.from(bytes), partitions));
      }),
    );
  });

  it('an agent id lies where the Kafka client puts it as a key', () => {
    for (const agentId of ['cost-monitor', 'customer-service', 'ledger-7', 'a', 'team/agent@2']) {
      expect(partitionOfAgent(agentId)).toBe(partitionByKafkajs(Buffer.from(agentId), AGENT_PARTITIONS));
    }
  });
});
