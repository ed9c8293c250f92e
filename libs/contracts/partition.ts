import { AGENT_PARTITIONS } from './topics.js';

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** murmur2 as Kafka's Java client and kafkajs hash a key, a signed 32-bit number. */
function murmur2(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length & ~3;
  let h = SEED ^ bytes.length;
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(view.getInt32(at, true), MULTIPLIER);
    k = Math.imul(k ^ (k >>> 24), MULTIPLIER);
    h = Math.imul(h, MULTIPLIER) ^ k;
  }
  if (whole < bytes.length) {
    for (let at = bytes.length - 1; at >= whole; at -= 1) h ^= view.getUint8(at) << (8 * (at - whole));
    h = Math.imul(h, MULTIPLIER);
  }
  h = Math.imul(h ^ (h >>> 13), MULTIPLIER);
  return h ^ (h >>> 15);
}

/** The partition Kafka's default partitioner chooses for a key. */
export function partitionOfKey(key: string | Uint8Array, partitions: number): number {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'utf8') : key;
  return (murmur2(bytes) & 0x7fffffff) % partitions;
}

/** The partition that carries all of an agent's messages, in every topic keyed by agent id. */
export function partitionOfAgent(agentId: string): number {
  return partitionOfKey(agentId, AGENT_PARTITIONS);
}
