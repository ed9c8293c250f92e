import { Aggregates, type Handled, type PublishEvents } from '#event-store';
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

const KNOWN = new WeakMap<PermissionStore, AuthorityAggregates>();

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

/**
 * Decides a command, stores what comes of it and publishes it. The same command again changes nothing. Rejects with the
 * store's or the bus's coded error while either is away: then send it again.
 */
export function order(
  { store, bus, views }: Pick<AuthorityRuntime, 'store' | 'bus' | 'views'>,
  placed: PlacedCommand,
): Promise<Handled<PermissionEvent>> {
  const { command } = placed;
  const { agentId, commandId } = command;
  const commandDigest = commandDigestOf(command, sha256);
  return authoritiesIn(store).handleAndPublish(
    {
      ...{ stream: agentId, commandId, commandDigest, command: placed },
      knownVersion: views.permissions.latest(agentId)?.version ?? 0,
    },
    permissionPublisher(bus),
  );
}
