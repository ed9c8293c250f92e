import {
  evolveAuthority,
  evolveCharter,
  evolveUnreadable,
  hasSomethingOpen,
  MAX_DECISION_TTL_MS,
  type AgentAuthority,
  VIEWS_READER,
  type CharterInForce,
  type ReaderPosition,
} from '#domain';
import { EVENTS, partitionOfAgent, readEvent, sha256, TOPICS } from '#contracts';
import { AsOfView, type Bus, type Cut } from '#bus';
import { readPermissionState } from './permission-state.js';

/** The key of every message on `charter.events`: there is one governing document. */
export const CHARTER_KEY = 'charter';

/** What brokers' clocks may differ by, with room to spare, ms. */
const CLOCKS_MS = 5 * 60 * 1000;

/**
 * How far back an agent's authority can be asked for, ms of log time. A decision on an intent that was appended longer
 * ago is void for every reader, whatever it says: no charter gives decisions longer to live.
 */
export const AUTHORITY_WINDOW_MS = MAX_DECISION_TTL_MS + CLOCKS_MS;

/**
 * How far back the charter can be asked for, ms of log time: longer than any message that is handled by the charter of
 * its moment stays on its topic.
 */
export const CHARTER_WINDOW_MS = 31 * 24 * 60 * 60 * 1000;

/** A point of both topics: what an intent of this agent was judged by. Offsets after the last event that counts. */
export interface ViewPosition {
  readonly agentId: string;
  readonly charter: number;
  readonly permissions: number;
}

/**
 * What a process knows of the charter and of every agent's authority, as of any position inside their windows. Read from
 * the log at every start.
 */
export interface Views {
  readonly charter: AsOfView<CharterInForce>;
  readonly permissions: AsOfView<AgentAuthority>;
  /** Reads both topics; resolves once everything known at the call has been read. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The cuts of `permission.state` that the view of permissions has begun with, by partition; `undefined` before that. */
  cuts(): ReadonlyMap<number, Cut<AgentAuthority>> | undefined;
  /** How far the topics have been read towards where they ended when that was last asked, in messages. */
  progress(): { readonly read: number; readonly total: number };
  /**
   * Asks the brokers where both topics end now and waits until they have been read that far. `false` when that took
   * longer than `waitMs`: then nothing can be judged now. `alive` is called about once a second while it waits; what it
   * throws ends the wait.
   */
  catchUp(waitMs: number, alive?: () => Promise<void>): Promise<boolean>;
  /** As {@link catchUp}, but only what is said of these agents, and the charter: what others do is not waited for. */
  catchUpOn(agentIds: readonly string[], waitMs: number): Promise<boolean>;
  /** Waits until both topics have been read up to all of these positions, as {@link catchUp} does. */
  reach(positions: readonly ViewPosition[], waitMs: number, alive?: () => Promise<void>): Promise<boolean>;
}

export interface ViewsOptions {
  /** Default: {@link AUTHORITY_WINDOW_MS}. */
  readonly authorityWindowMs?: number;
}

/** From where on views of a new process need the control topics: as positions of a reader. */
export function viewPositions(views: Pick<Views, 'cuts'>): readonly ReaderPosition[] {
  const cuts = views.cuts();
  const needed = (topic: string, partition: number, next: number) => ({
    ...{ reader: VIEWS_READER, topic, partition, next },
  });
  return [
    needed(TOPICS.charterEvents.name, 0, 0),
    ...Array.from({ length: TOPICS.permissionEvents.partitions }, (_, partition) =>
      needed(TOPICS.permissionEvents.name, partition, cuts?.get(partition)?.position ?? 0),
    ),
  ];
}

/** Generous: a start may read years of events. Readiness, not this bound, tells the operator how far it is. */
const START_WAIT_MS = 10 * 60 * 1000;

/** Whoever waits says about so often that it is alive, ms. */
const ALIVE_MS = 1000;

/** The two views every judging process keeps, over its own private readers. */
export function createViews(bus: Bus, { authorityWindowMs = AUTHORITY_WINDOW_MS }: ViewsOptions = {}): Views {
  const charter = new AsOfView<CharterInForce>(
    bus,
    TOPICS.charterEvents,
    (state, message) => {
      const reading = readEvent(EVENTS.charterEvent, message);
      return reading.ok ? evolveCharter(state, reading.event.data, sha256) : state;
    },
    { windowMs: CHARTER_WINDOW_MS },
  );
  const permissions = new AsOfView<AgentAuthority>(
    bus,
    TOPICS.permissionEvents,
    (state, message) => {
      const reading = readEvent(EVENTS.permissionEvent, message);
      // what cannot be read, or speaks of someone else than its key, might have been a suspension
      if (!reading.ok || message.key?.toString('utf8') !== reading.event.data.agentId) return evolveUnreadable(state);
      return evolveAuthority(state, reading.event.data);
    },
    {
      windowMs: authorityWindowMs,
      isOpen: hasSomethingOpen,
      cuts: async () => (found = await readPermissionState(bus, authorityWindowMs)),
    },
  );
  let found: ReadonlyMap<number, Cut<AgentAuthority>> | undefined;
  let lastEnds: readonly number[] = [];

  function read(
    ends: { readonly charter: readonly number[]; readonly permissions: readonly number[] },
    waitMs: number,
    alive: () => Promise<void> = () => Promise.resolve(),
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = setInterval(() => void alive().catch(reject), ALIVE_MS);
      void Promise.all([charter.waitUntil(ends.charter, waitMs), permissions.waitUntil(ends.permissions, waitMs)]).then(
        ([charterRead, permissionsRead]) => {
          clearInterval(timer);
          resolve(charterRead && permissionsRead);
        },
      );
    });
  }

  async function catchUp(waitMs: number, alive?: () => Promise<void>): Promise<boolean> {
    const ends = await bus.ends([TOPICS.charterEvents.name, TOPICS.permissionEvents.name]);
    const [charterEnds = [], permissionEnds = []] = [TOPICS.charterEvents, TOPICS.permissionEvents].map(({ name }) =>
      ends.get(name),
    );
    lastEnds = [...charterEnds, ...permissionEnds];
    return read({ charter: charterEnds, permissions: permissionEnds }, waitMs, alive);
  }

  async function catchUpOn(agentIds: readonly string[], waitMs: number): Promise<boolean> {
    const topics = agentIds.length === 0 ? [TOPICS.charterEvents] : [TOPICS.charterEvents, TOPICS.permissionEvents];
    const ends = await bus.ends(topics.map(({ name }) => name));
    const partitions = new Set(agentIds.map(partitionOfAgent));
    const permissions = (ends.get(TOPICS.permissionEvents.name) ?? []).map((end, partition) =>
      partitions.has(partition) ? end : 0,
    );
    return read({ charter: ends.get(TOPICS.charterEvents.name) ?? [], permissions }, waitMs);
  }

  async function reach(
    positions: readonly ViewPosition[],
    waitMs: number,
    alive?: () => Promise<void>,
  ): Promise<boolean> {
    let charterEnd = 0;
    const permissionEnds = new Array<number>(TOPICS.permissionEvents.partitions).fill(0);
    for (const position of positions) {
      charterEnd = Math.max(charterEnd, position.charter);
      const partition = partitionOfAgent(position.agentId);
      permissionEnds[partition] = Math.max(permissionEnds[partition] ?? 0, position.permissions);
    }
    return read({ charter: [charterEnd], permissions: permissionEnds }, waitMs, alive);
  }

  return {
    charter,
    permissions,
    catchUp,
    catchUpOn,
    reach,
    cuts: () => found,
    progress() {
      const positions = [...charter.positions(), ...permissions.positions()];
      return {
        read: lastEnds.reduce((sum, end, index) => sum + Math.min(end, positions[index] ?? 0), 0),
        total: lastEnds.reduce((sum, end) => sum + end, 0),
      };
    },
    async start() {
      await Promise.all([charter.start(), permissions.start()]);
      await catchUp(START_WAIT_MS);
    },
    async stop() {
      await Promise.all([charter.stop(), permissions.stop()]);
    },
  };
}
