import type { Assigner, PartitionAssigner } from 'kafkajs';

/**
 * The place of a reader in its group, which outlives the kafkajs consumers that the reader makes one after the other.
 * kafkajs lets each of them join as a new member, and the group then waits for the one before until its session ends.
 */
export interface GroupPlace {
  readonly group: string;
  /** As the coordinator calls the member; `undefined`: it has none, or has forgotten it. */
  memberId: string | undefined;
}

const placeOf = new WeakMap<object, GroupPlace>();

/** Lets every consumer that joins with this assigner take the place, as long as the coordinator knows it. */
export function joiningAt(place: GroupPlace, create: PartitionAssigner): PartitionAssigner {
  return (given) => {
    const assigner: Assigner = create(given);
    return {
      ...assigner,
      protocol: (subscription) => {
        const protocol = assigner.protocol(subscription);
        placeOf.set(protocol, place);
        return protocol;
      },
    };
  };
}

/** The place that a request to join is for: what an assigner says of itself travels in it. */
export function placeIn(protocols: readonly object[]): GroupPlace | undefined {
  for (const protocol of protocols) {
    const place = placeOf.get(protocol);
    if (place !== undefined) return place;
  }
  return undefined;
}
