import {
  Aggregates,
  isToPublish,
  publishStream,
  type CommandToHandle,
  type Handled,
  type PublishEvents,
} from '#event-store';
import type { Bus, ReceivedMessage } from '#bus';
import { EVENTS, sha256, TOPICS, writeEvent } from '#contracts';
import {
  AUTHORITY_SNAPSHOT_FORMAT,
  authorityDecider,
  authorityFromSnapshot,
  authoritySnapshotSchema,
  authorityToSnapshot,
  commandDigestOf,
  type AgentAuthority,
  type AskRefusalCode,
  type Decision,
  type PermissionEvent,
  type PlacedCommand,
} from '#domain';
import type { Views } from '#segment';
import type { Tracing } from '#telemetry';
import type { PermissionStore } from './permission-store.js';

/** What everything in here works with. */
export interface AuthorityRuntime {
  readonly bus: Bus;
  readonly store: PermissionStore;
  readonly views: Views;
  /** How long to wait for the views to read as far as a message needs, ms; then the message waits. */
  readonly viewWaitMs: number;
  /** Traces holds and second rounds. */
  readonly tracing?: Tracing | undefined;
  /** Told of every decision on the log, before anything is done about it; it may be told again. It must not throw. */
  readonly onDecision?: ((message: ReceivedMessage, decision: Decision) => void) | undefined;
  /** Told of every request that is refused and kept nowhere. It must not throw. */
  readonly onRequestRefused?: ((code: AskRefusalCode) => void) | undefined;
}

/** The message cannot be handled now; it comes again later. */
export class AuthorityError extends Error {
  override readonly name = 'AuthorityError';

  constructor(
    readonly code: 'REMIT_AUTHORITY_VIEWS_BEHIND',
    message: string,
  ) {
    super(message);
  }
}

/** Appends permission events to `permission.events`, in the order given. */
export function permissionPublisher(bus: Pick<Bus, 'publish'>): PublishEvents<PermissionEvent> {
  return async (stored) => {
    const messages = stored.map(({ event }) => {
      const { agentId, version, at } = event;
      const message = writeEvent(EVENTS.permissionEvent, {
        id: `${agentId}/${String(version)}`,
        source: '/remit/permission',
        subject: agentId,
        time: at,
        data: event,
      });
      return { topic: TOPICS.permissionEvents.name, key: agentId, ...message };
    });
    await bus.publish(messages);
  };
}

type AuthorityAggregates = Aggregates<PlacedCommand, AgentAuthority, PermissionEvent>;

/** Every lane of a process has a store object, and so a cache, of its own. They live as long as the process. */
const KNOWN = new Map<PermissionStore, AuthorityAggregates>();

/** The authorities in a store. Whoever uses the same store object shares what is known of them. */
export function authoritiesIn(store: PermissionStore): AuthorityAggregates {
  let authorities = KNOWN.get(store);
  if (authorities === undefined) {
    authorities = new Aggregates(store, authorityDecider, {
      snapshots: {
        name: AUTHORITY_SNAPSHOT_FORMAT,
        write: authorityToSnapshot,
        read: (json) => {
          const snapshot = authoritySnapshotSchema.safeParse(json);
          return snapshot.success ? authorityFromSnapshot(snapshot.data) : undefined;
        },
      },
    });
    KNOWN.set(store, authorities);
  }
  return authorities;
}

/** The store holds other events of this agent now: what any lane of this process knew of it counts no more. */
export function forgetAuthority(agentId: string): void {
  for (const authorities of KNOWN.values()) authorities.forget(agentId);
}

/**
 * Decides a command, stores what comes of it and publishes it. The same command again changes nothing. Rejects with the
 * store's or the bus's coded error while either is away: then send it again.
 */
export function order(
  runtime: Pick<AuthorityRuntime, 'store' | 'bus' | 'views'>,
  placed: PlacedCommand,
): Promise<Handled<PermissionEvent>> {
  const { store, bus } = runtime;
  return authoritiesIn(store).handleAndPublish(toHandle(runtime, placed), permissionPublisher(bus));
}

function toHandle({ views }: Pick<AuthorityRuntime, 'views'>, placed: PlacedCommand): CommandToHandle<PlacedCommand> {
  const { command } = placed;
  const { agentId, commandId } = command;
  return {
    ...{ stream: agentId, commandId, commandDigest: commandDigestOf(command, sha256), command: placed },
    knownVersion: views.permissions.latest(agentId)?.version ?? 0,
  };
}

/**
 * Decides and stores many commands as {@link order} does, and publishes what came of them all at once for each agent: an
 * agent of which there are many takes little of the others' time.
 */
export class ManyOrders {
  readonly #agents = new Set<string>();

  constructor(private readonly runtime: Pick<AuthorityRuntime, 'store' | 'bus' | 'views'>) {}

  async order(placed: PlacedCommand): Promise<void> {
    const handled = await authoritiesIn(this.runtime.store).handle(toHandle(this.runtime, placed));
    if (isToPublish(handled)) this.#agents.add(placed.command.agentId);
  }

  /** Until this has resolved, nothing may be acknowledged. `alive` is called after each agent. */
  async publish(alive: () => Promise<void>): Promise<void> {
    const { store, bus } = this.runtime;
    for (const agentId of this.#agents) {
      await publishStream(store, agentId, permissionPublisher(bus));
      this.#agents.delete(agentId);
      await alive();
    }
  }
}
