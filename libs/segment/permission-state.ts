import { readWhole, type Bus, type Cut, type OutgoingMessage, type ReceivedMessage, type StateOfKey } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS, writeEvent } from '#contracts';
import { AUTHORITY_SNAPSHOT_FORMAT, authorityFromSnapshot, authorityToSnapshot, type AgentAuthority } from '#domain';

/** The key of a cut. No agent id begins so. */
const CUT_KEY = '#cut';

const SOURCE = '/remit/permission';

/** A cut, and by what earlier position an agent is told apart whose snapshot is newer than the cut. */
interface PartitionRead {
  cut: ReceivedMessage | undefined;
  /** The newest message of each agent. */
  readonly snapshots: Map<string, ReceivedMessage>;
}

/**
 * The cuts on `permission.state`, by partition of `permission.events`: where a view may read on from, instead of from
 * the start. Left out, so that it is read from the start: a partition without one; one whose snapshots cannot be read,
 * are of another format or not those that the cut was made with (a writer that was late has put an older one over a
 * newer, something is missing); one that ends before the cut; and a cut younger than `windowMs`, from which questions
 * inside the window could not be answered. Rejects with the bus's coded error.
 */
export async function readPermissionState(
  bus: Bus,
  windowMs: number,
): Promise<ReadonlyMap<number, Cut<AgentAuthority>>> {
  const partitions = new Map<number, PartitionRead>();
  await readWhole(bus, TOPICS.permissionState.name, (messages) => {
    for (const message of messages) {
      let read = partitions.get(message.partition);
      if (read === undefined) partitions.set(message.partition, (read = { cut: undefined, snapshots: new Map() }));
      const key = message.key?.toString('utf8') ?? '';
      if (key === CUT_KEY) read.cut = message;
      else if (message.value === null) read.snapshots.delete(key);
      else read.snapshots.set(key, message);
    }
  });
  const ends = (await bus.ends([TOPICS.permissionEvents.name])).get(TOPICS.permissionEvents.name) ?? [];
  const cuts = new Map<number, Cut<AgentAuthority>>();
  for (const [partition, read] of partitions) {
    const cut = cutOf(partition, read, windowMs);
    if (cut !== undefined && cut.position <= (ends[partition] ?? 0)) cuts.set(partition, cut);
  }
  return cuts;
}

function cutOf(
  partition: number,
  { cut: message, snapshots }: PartitionRead,
  windowMs: number,
): Cut<AgentAuthority> | undefined {
  const reading = message && readEvent(EVENTS.permissionCut, message);
  if (message === undefined || reading?.ok !== true) return undefined;
  const cut = reading.event.data;
  const isOldEnough = message.appendTime - cut.logTime >= windowMs;
  if (cut.partition !== partition || cut.format !== AUTHORITY_SNAPSHOT_FORMAT || !isOldEnough) return undefined;
  const states = new Map<string, StateOfKey<AgentAuthority>>();
  const known = new DigestOfPositions();
  for (const [key, snapshot] of snapshots) {
    const one = readEvent(EVENTS.permissionSnapshot, snapshot);
    if (!one.ok || one.event.data.format !== AUTHORITY_SNAPSHOT_FORMAT || one.event.data.agentId !== key)
      return undefined;
    const { position, previous, authority } = one.event.data;
    // written for a later cut that was never completed: what it was before is as the cut knew it
    const then = position <= cut.position ? position : previous;
    if (then !== undefined) known.add(key, then);
    states.set(key, { position, state: authorityFromSnapshot(authority) });
  }
  const { position, logTime } = cut;
  return known.agents === cut.agents && known.digest() === cut.digest ? { position, logTime, states } : undefined;
}

/** Which agents have snapshots of which positions, in any order. */
class DigestOfPositions {
  agents = 0;
  #left = 0;
  #right = 0;

  add(agentId: string, position: number): void {
    const hex = sha256(`${agentId}\n${String(position)}`);
    this.#left ^= Number.parseInt(hex.slice(0, 8), 16);
    this.#right ^= Number.parseInt(hex.slice(8, 16), 16);
    this.agents += 1;
  }

  digest(): string {
    return [this.#left, this.#right].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

/** What is on `permission.state` of one partition, as far as its writer knows. */
interface Written {
  /** Position of the last cut. */
  readonly cut: number;
  /** Position of each agent's snapshot. */
  readonly agents: ReadonlyMap<string, number>;
}

/** Writes `permission.state`: snapshots of the agents that have changed, then the cut they belong to. */
export class PermissionStateWriter {
  readonly #written = new Map<number, Written>();

  constructor(
    private readonly bus: Bus,
    /** Cuts that were read at the start, by partition. */
    found: ReadonlyMap<number, Cut<AgentAuthority>>,
  ) {
    for (const [partition, { position, states }] of found) {
      const agents = new Map([...states].map(([agentId, one]) => [agentId, one.position]));
      this.#written.set(partition, { cut: position, agents });
    }
  }

  /** Messages of the partition that the last cut does not hold; without any cut, all before the position. */
  behind(partition: number, position: number): number {
    return position - (this.#written.get(partition)?.cut ?? 0);
  }

  /**
   * Resolves when the brokers have the cut. Rejects with the bus's coded error: then readers go on with the cut before,
   * and the next one is written from here.
   */
  async write(partition: number, { position, logTime, states }: Cut<AgentAuthority>): Promise<void> {
    const before = this.#written.get(partition)?.agents ?? new Map<string, number>();
    const known = new DigestOfPositions();
    const messages: OutgoingMessage[] = [];
    const topic = TOPICS.permissionState.name;
    for (const [agentId, one] of states) {
      known.add(agentId, one.position);
      const previous = before.get(agentId);
      if (previous === one.position) continue;
      const event = writeEvent(EVENTS.permissionSnapshot, {
        id: `${agentId}/${String(one.position)}`,
        source: SOURCE,
        subject: agentId,
        data: {
          agentId,
          position: one.position,
          ...(previous === undefined ? {} : { previous }),
          format: AUTHORITY_SNAPSHOT_FORMAT,
          authority: authorityToSnapshot(one.state),
        },
      });
      messages.push({ topic, key: agentId, partition, ...event });
    }
    for (const agentId of before.keys()) {
      if (!states.has(agentId)) messages.push({ topic, key: agentId, partition, value: null });
    }
    if (messages.length > 0) await this.bus.publish(messages);
    const event = writeEvent(EVENTS.permissionCut, {
      id: `${String(partition)}/${String(position)}`,
      source: SOURCE,
      subject: `${TOPICS.permissionEvents.name}/${String(partition)}`,
      data: {
        partition,
        position,
        logTime,
        agents: known.agents,
        digest: known.digest(),
        format: AUTHORITY_SNAPSHOT_FORMAT,
      },
    });
    await this.bus.publish([{ topic, key: CUT_KEY, partition, ...event }]);
    const agents = new Map([...states].map(([agentId, one]) => [agentId, one.position]));
    this.#written.set(partition, { cut: position, agents });
  }
}
