import { partitionOfAgent, sha256, TOPICS } from '#contracts';
import {
  evolveAuthority,
  evolveCharter,
  evolveUnreadable,
  INITIAL_AUTHORITY,
  type AgentAuthority,
  type CharterInForce,
} from '#domain';
import { agentOfPermissionEntry, charterEventIn, permissionEventIn } from './governing-events.js';
import type { HistoryReading } from './history.js';

/** States of one agent that are kept, so that a redelivered intent, which looks a little back, costs nothing. */
const STATES_KEPT = 32;

interface Version<State> {
  readonly nextOffset: number;
  readonly state: State;
}

interface AgentVersions {
  readonly versions: Version<AgentAuthority>[];
  /** The oldest states are gone: what was before the first version is not known any more. */
  isCut: boolean;
}

interface PartitionRead {
  /** Everything before this offset has been read. */
  position: number;
  readonly agents: Map<string, AgentVersions>;
}

/** What the record says of a position. `undefined` instead of it: the record does not hold all events up to there. */
export interface AsRecorded<State> {
  readonly state: State;
}

/**
 * The views that judged, rebuilt from the record: the charter and every agent's authority as of any position. Reads
 * forward and keeps the newest states only, so memory depends on the number of agents, not on the length of history;
 * looking far back reads again.
 */
export class RecordedViews {
  readonly #charters: Version<CharterInForce | undefined>[] = [];
  #charterPosition = 0;
  #charterEvents = 0;
  readonly #partitions = new Map<number, PartitionRead>();

  constructor(private readonly history: HistoryReading) {}

  /** The charter by the events before a position of `charter.events`. */
  async charterAt(
    position: number,
    digest: string | null,
  ): Promise<AsRecorded<CharterInForce | undefined> | undefined> {
    if (position > this.#charterPosition) await this.#readCharters();
    const state = this.#charters.findLast(({ nextOffset }) => nextOffset <= position)?.state;
    if ((state?.charter.digest ?? null) === digest) return { state };
    // Another charter than the stamp says: a contradiction when the record is whole, no evidence when it is not.
    return position <= this.#charterPosition && this.#charterEvents >= this.#charterPosition ? { state } : undefined;
  }

  async #readCharters(): Promise<void> {
    const { name: topic } = TOPICS.charterEvents;
    for await (const page of this.history.partition({ topic, partition: 0, from: this.#charterPosition })) {
      for (const entry of page) {
        const event = charterEventIn(entry);
        const before = this.#charters.at(-1)?.state;
        const state = event === undefined ? before : evolveCharter(before, event, sha256);
        if (state !== before) this.#charters.push({ nextOffset: entry.offset + 1, state });
        this.#charterPosition = entry.offset + 1;
        this.#charterEvents += 1;
      }
    }
  }

  /** The agent's authority by the events before a position of its partition of `permission.events`. */
  async authorityAt(agentId: string, position: number): Promise<AsRecorded<AgentAuthority> | undefined> {
    if (position === 0) return { state: INITIAL_AUTHORITY };
    const partition = partitionOfAgent(agentId);
    const read = this.#partitions.get(partition) ?? { position: 0, agents: new Map<string, AgentVersions>() };
    this.#partitions.set(partition, read);
    if (read.position < position) await this.#readPermissions(partition, read, position);
    if (read.position < position) return undefined;
    const known = read.agents.get(agentId);
    if (known === undefined) return { state: INITIAL_AUTHORITY };
    const version = known.versions.findLast(({ nextOffset }) => nextOffset <= position);
    if (version !== undefined) return version;
    return { state: known.isCut ? await this.#authorityLongAgo(agentId, partition, position) : INITIAL_AUTHORITY };
  }

  async #readPermissions(partition: number, read: PartitionRead, to: number): Promise<void> {
    const { name: topic } = TOPICS.permissionEvents;
    for await (const page of this.history.partition({ topic, partition, from: read.position, to })) {
      for (const entry of page) {
        read.position = entry.offset + 1;
        const agentId = agentOfPermissionEntry(entry);
        if (agentId === undefined) continue;
        let known = read.agents.get(agentId);
        if (known === undefined) read.agents.set(agentId, (known = { versions: [], isCut: false }));
        const event = permissionEventIn(entry);
        const before = known.versions.at(-1)?.state;
        const state = event === undefined ? evolveUnreadable(before) : evolveAuthority(before, event);
        known.versions.push({ nextOffset: entry.offset + 1, state });
        if (known.versions.length > STATES_KEPT) {
          known.versions.shift();
          known.isCut = true;
        }
      }
    }
  }

  async #authorityLongAgo(agentId: string, partition: number, to: number): Promise<AgentAuthority> {
    const { name: topic } = TOPICS.permissionEvents;
    let state = INITIAL_AUTHORITY;
    for await (const page of this.history.partition({ topic, partition, from: 0, to })) {
      for (const entry of page) {
        if (agentOfPermissionEntry(entry) !== agentId) continue;
        const event = permissionEventIn(entry);
        state = event === undefined ? evolveUnreadable(state) : evolveAuthority(state, event);
      }
    }
    return state;
  }
}
