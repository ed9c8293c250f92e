import type { Bus, Following, ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent, type OrderAnswer } from '#contracts';
import type { PermissionCommand, PermissionEvent } from '#domain';
import { appendMillisecondOver } from '#service';
import { DoorRefusal, refusalOf } from './problems.js';

/** Whether a command id is free, has been used for exactly this, or for something else. */
export type StandingOf = (command: PermissionCommand) => Promise<'new' | 'done' | 'other content'>;

/** Of these several events may come: they follow each other at once, and silence ends them. */
const SEVERAL_EVENTS: ReadonlySet<PermissionCommand['command']> = new Set([
  'ApproveRequest',
  'RejectRequest',
  'CancelRequest',
  'RevokeAllGrants',
]);
const SILENCE_MS = 25;

interface Waiter {
  take(event: PermissionEvent): void;
}

/** Puts orders on the log, and tells what came of them once it binds. */
export class OrderDesk {
  readonly #waiters = new Map<string, Set<Waiter>>();
  #following: Following | undefined;

  constructor(
    private readonly bus: Bus,
    private readonly standingOf: StandingOf,
    private readonly waitMs: number,
  ) {}

  async start(): Promise<void> {
    this.#following = await this.bus.follow({ topics: [TOPICS.permissionEvents.name], from: 'end' }, (messages) => {
      for (const message of messages) this.#handOut(message);
    });
  }

  async stop(): Promise<void> {
    await this.#following?.stop();
  }

  /**
   * Throws {@link DoorRefusal}: what the log says against it; 409 when the id is used for another order; 503 when
   * nothing came in time: then it may still be done, and may be sent again with its id.
   */
  async order(command: PermissionCommand): Promise<OrderAnswer> {
    const [result] = await this.orderAll([command]);
    if (result === undefined) throw new Error('one order has one result');
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  }

  /** All at once, each for itself: in the order given. */
  async orderAll(commands: readonly PermissionCommand[]): Promise<PromiseSettledResult<OrderAnswer>[]> {
    const standings = await Promise.all(commands.map((command) => this.standingOf(command)));
    const fresh = commands.filter((_, index) => standings[index] !== 'other content');
    const answers = new Map(fresh.map((command) => [command, this.#answerTo(command)]));
    try {
      await this.bus.publish(fresh.map(messageOf));
    } catch (error) {
      for (const { giveUp } of answers.values()) giveUp(error);
    }
    const results = await Promise.allSettled(
      commands.map((command) => {
        const answer = answers.get(command);
        return answer === undefined ? Promise.reject(idReused(command)) : answer.done;
      }),
    );
    await appendMillisecondOver();
    return results;
  }

  #answerTo(command: PermissionCommand): { done: Promise<OrderAnswer>; giveUp: (error: unknown) => void } {
    const { agentId, commandId } = command;
    const key = keyOf(agentId, commandId);
    const { promise, resolve, reject } = Promise.withResolvers<OrderAnswer>();
    const events = new Map<number, PermissionEvent>();
    const settle = (): void => {
      const inOrder = [...events.values()].sort((one, other) => one.version - other.version);
      const refused = inOrder.find((event) => event.event === 'PermissionRefused');
      if (refused === undefined) resolve({ commandId, agentId, events: inOrder });
      else reject(refusalOf(refused.code, refused.problem, commandId));
    };
    let silence: NodeJS.Timeout | undefined;
    const waiter: Waiter = {
      take: (event) => {
        events.set(event.version, event);
        clearTimeout(silence);
        if (event.event === 'PermissionRefused' || !SEVERAL_EVENTS.has(command.command)) settle();
        else silence = setTimeout(settle, SILENCE_MS);
      },
    };
    const waiters = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, waiters.add(waiter));
    const deadline = setTimeout(() => {
      reject(
        new DoorRefusal(
          503,
          'REMIT_DOOR_NOT_CONFIRMED',
          `it is ordered, but nothing came of it within ${this.waitMs} ms: it may still be done. Send it again with the same Idempotency-Key to learn what came of it`,
          { commandId },
        ),
      );
    }, this.waitMs);
    const done = promise.finally(() => {
      clearTimeout(deadline);
      clearTimeout(silence);
      waiters.delete(waiter);
      if (waiters.size === 0) this.#waiters.delete(key);
    });
    // whoever asked looks at it later: until then a rejection is nobody's fault
    done.catch(() => undefined);
    return { done, giveUp: reject };
  }

  #handOut(message: ReceivedMessage): void {
    if (this.#waiters.size === 0) return;
    const reading = readEvent(EVENTS.permissionEvent, message);
    if (!reading.ok) return;
    const event = reading.event.data;
    for (const waiter of this.#waiters.get(keyOf(event.agentId, event.commandId)) ?? []) waiter.take(event);
  }
}

function keyOf(agentId: string, commandId: string): string {
  return `${agentId}\n${commandId}`;
}

function messageOf(command: PermissionCommand) {
  const event = writeEvent(EVENTS.permissionCommand, {
    id: command.commandId,
    source: '/remit/door',
    subject: command.agentId,
    data: command,
  });
  return { topic: TOPICS.permissionCommands.name, key: command.agentId, ...event };
}

function idReused({ commandId }: PermissionCommand): DoorRefusal {
  return new DoorRefusal(
    409,
    'REMIT_DOOR_COMMAND_ID_REUSED',
    `the Idempotency-Key ${commandId} has been used for another order: nothing has changed; use a new one`,
    { commandId },
  );
}
