import { handleAndPublish, type Handled, type PublishEvents } from '#event-store';
import type { Bus, ReceivedMessage } from '#bus';
import { EVENTS, sha256, TOPICS, writeEvent } from '#contracts';
import { authorityDecider, commandDigestOf, type Decision, type PermissionEvent, type PlacedCommand } from '#domain';
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
export function permissionPublisher(bus: Bus): PublishEvents<PermissionEvent> {
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

/**
 * Decides a command, stores what comes of it and publishes it. The same command again changes nothing. Rejects with the
 * store's or the bus's coded error while either is away: then send it again.
 */
export function order(
  { store, bus }: Pick<AuthorityRuntime, 'store' | 'bus'>,
  placed: PlacedCommand,
): Promise<Handled<PermissionEvent>> {
  const { command } = placed;
  return handleAndPublish(store, authorityDecider, permissionPublisher(bus), {
    stream: command.agentId,
    commandId: command.commandId,
    commandDigest: commandDigestOf(command, sha256),
    command: placed,
  });
}
