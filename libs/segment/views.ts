import { evolveAuthority, evolveCharter, evolveUnreadable, type AgentAuthority, type CharterInForce } from '#domain';
import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import { AsOfView, type Bus } from '#bus';

/** The key of every message on `charter.events`: there is one governing document. */
export const CHARTER_KEY = 'charter';

/**
 * What a process knows of the charter and of every agent's authority, as of any position. Rebuilt from the log at
 * every start, never stored.
 */
export interface Views {
  readonly charter: AsOfView<CharterInForce>;
  readonly permissions: AsOfView<AgentAuthority>;
  /** Reads both topics from the start; resolves once everything known at the call has been read. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Asks the brokers where both topics end now and waits until they have been read that far.
   * `false` when that took longer than `waitMs`: whoever judges then must fail closed.
   */
  catchUp(waitMs: number): Promise<boolean>;
}

/** Generous: a start may read years of events. Readiness, not this bound, tells the operator how far it is. */
const START_WAIT_MS = 10 * 60 * 1000;

/** The two views every judging process keeps, over its own private readers. */
export function createViews(bus: Bus): Views {
  const charter = new AsOfView<CharterInForce>(bus, TOPICS.charterEvents, (state, message) => {
    const reading = readEvent(EVENTS.charterEvent, message);
    return reading.ok ? evolveCharter(state, reading.event.data, sha256) : state;
  });
  const permissions = new AsOfView<AgentAuthority>(bus, TOPICS.permissionEvents, (state, message) => {
    const reading = readEvent(EVENTS.permissionEvent, message);
    // what cannot be read, or speaks of someone else than its key, might have been a suspension
    if (!reading.ok || message.key?.toString('utf8') !== reading.event.data.agentId) return evolveUnreadable(state);
    return evolveAuthority(state, reading.event.data);
  });

  async function catchUp(waitMs: number): Promise<boolean> {
    const ends = await bus.ends([TOPICS.charterEvents.name, TOPICS.permissionEvents.name]);
    const [charterRead, permissionsRead] = await Promise.all([
      charter.waitUntil(ends.get(TOPICS.charterEvents.name) ?? [], waitMs),
      permissions.waitUntil(ends.get(TOPICS.permissionEvents.name) ?? [], waitMs),
    ]);
    return charterRead && permissionsRead;
  }

  return {
    charter,
    permissions,
    catchUp,
    async start() {
      await Promise.all([charter.start(), permissions.start()]);
      await catchUp(START_WAIT_MS);
    },
    async stop() {
      await Promise.all([charter.stop(), permissions.stop()]);
    },
  };
}
