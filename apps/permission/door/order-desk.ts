import type { CommandStanding } from '#authority';
import type { Bus, Following, ReceivedMessage } from '#bus';
import { EVENTS, readEvent, TOPICS, writeEvent, type OrderAnswer } from '#contracts';
import { canonicalJson, COMMAND_TRAITS, type PermissionCommand, type PermissionEvent } from '#domain';
import { appendMillisecondOver } from '#service';
import { DoorRefusal, refusalOf } from './problems.js';

/** Whether a command id is free, has been used for exactly this, with what came of it, or for something else. */
export type StandingOf = (command: PermissionCommand) => Promise<CommandStanding>;

/** Where the store cannot say how many there are, so long a silence ends them. */
const SILENCE_MS = 250;

/** Commands on the log of which nothing is known yet, at most so many; what is forgotten is put on the log again. */
const MAX_PENDING = 10_000;

interface Waiter {
  take(event: PermissionEvent): void;
}

interface PendingAnswer {
  readonly done: Promise<OrderAnswer>;
  readonly giveUp: (error: unknown) => void;
}

/** Puts orders on the log, and tells what came of them once it binds. */
export class OrderDesk {
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** What is on the log and has not been answered: sent again, it is waited for and not put there twice. */
  readonly #pending = new Map<string, PermissionCommand>();
  #following: Following | undefined;

  constructor(
    /** Where orders are put on the log, and where what came of them is read. */
    private readonly bus: { readonly to: Pick<Bus, 'publish'>; readonly from: Pick<Bus, 'follow'> },
    private readonly standingOf: StandingOf,
    private readonly waitMs: number,
    /** Whether everything up to a version of an agent's stream has been read back from the log. */
    private readonly isPublic: (agentId: string, version: number) => boolean = () => false,
  ) {}

  async start(): Promise<void> {
    this.#following = await this.bus.from.follow(
      { topics: [TOPICS.permissionEvents.name], from: 'end' },
      (messages) => {
        for (const message of messages) this.#handOut(message);
      },
    );
  }

  async stop(): Promise<void> {
    await this.#following?.stop();
  }

  /**
   * Throws {@link DoorRefusal}: what the log says against it; 409 when the id is used for another order; 503 when
   * nothing came in time: then it may still be done, and may be sent again with its id.
   */
  async order(command: PermissionCommand, standing = this.standing(command)): Promise<OrderAnswer> {
    const [result] = await this.#orderAll([command], [standing]);
    if (result === undefined) throw new Error('one order has one result');
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  }

  /** Begins to ask what the store knows of a command, for {@link order}. */
  standing(command: PermissionCommand): Promise<CommandStanding> {
    const standing = this.standingOf(command);
    // whoever orders looks at it later; whoever does not order does not care
    standing.catch(() => undefined);
    return standing;
  }

  /** All at once, each for itself: in the order given. */
  orderAll(commands: readonly PermissionCommand[]): Promise<PromiseSettledResult<OrderAnswer>[]> {
    return this.#orderAll(
      commands,
      commands.map((command) => this.standing(command)),
    );
  }

  async #orderAll(
    commands: readonly PermissionCommand[],
    known: readonly Promise<CommandStanding>[],
  ): Promise<PromiseSettledResult<OrderAnswer>[]> {
    const standings = await Promise.all(known);
    const answers = new Map<PermissionCommand, PendingAnswer>();
    const results = commands.map((command, index): Promise<OrderAnswer> => {
      const standing = standings[index];
      if (standing?.status === 'other content') return Promise.reject(idReused(command));
      const events = standing?.status === 'done' ? standing.events : [];
      const last = events.at(-1);
      if (last !== undefined && this.isPublic(command.agentId, last.version)) {
        const answer = answerOf(command, events);
        return answer instanceof DoorRefusal ? Promise.reject(answer) : Promise.resolve(answer);
      }
      const waiting = this.#answerTo(command);
      answers.set(command, waiting);
      return waiting.done;
    });
    const settled = Promise.allSettled(results);
    const fresh = [...answers.keys()].filter((command) => !this.#isPending(command));
    try {
      await this.bus.to.publish(fresh.map(messageOf));
      for (const command of fresh) this.#remember(command);
    } catch (error) {
      for (const { giveUp } of answers.values()) giveUp(error);
    }
    await settled;
    await appendMillisecondOver();
    return settled;
  }

  /** Whether this very command is on the log already. Another one under its id is told apart by the store. */
  #isPending(command: PermissionCommand): boolean {
    const pending = this.#pending.get(keyOf(command.agentId, command.commandId));
    return pending !== undefined && canonicalJson(pending) === canonicalJson(command);
  }

  #remember(command: PermissionCommand): void {
    this.#pending.set(keyOf(command.agentId, command.commandId), command);
    if (this.#pending.size <= MAX_PENDING) return;
    const [oldest] = this.#pending.keys();
    if (oldest !== undefined) this.#pending.delete(oldest);
  }

  #answerTo(command: PermissionCommand): PendingAnswer {
    const { agentId, commandId } = command;
    const key = keyOf(agentId, commandId);
    const { promise, resolve, reject } = Promise.withResolvers<OrderAnswer>();
    const events = new Map<number, PermissionEvent>();
    const settle = (): void => {
      this.#pending.delete(key);
      const inOrder = [...events.values()].sort((one, other) => one.version - other.version);
      const answer = answerOf(command, inOrder);
      if (answer instanceof DoorRefusal) reject(answer);
      else resolve(answer);
    };
    let silence: NodeJS.Timeout | undefined;
    let count: number | undefined;
    const settleWhenAll = (): void => {
      if (count !== undefined && events.size >= count) settle();
    };
    const countThem = async (): Promise<void> => {
      const standing = await this.standingOf(command);
      if (standing.status !== 'done') return;
      count = standing.events.length;
      settleWhenAll();
    };
    const waiter: Waiter = {
      take: (event) => {
        events.set(event.version, event);
        if (!COMMAND_TRAITS[command.command].severalEvents) return settle();
        if (count !== undefined) return settleWhenAll();
        if (events.size === 1) {
          countThem().catch(() => {
            silence = setTimeout(settle, SILENCE_MS);
          });
        } else if (silence !== undefined) silence.refresh();
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

function answerOf(command: PermissionCommand, events: readonly PermissionEvent[]): OrderAnswer | DoorRefusal {
  const { agentId, commandId } = command;
  const refused = events.find((event) => event.event === 'PermissionRefused');
  if (refused !== undefined) return refusalOf(refused.code, refused.problem, commandId);
  return { commandId, agentId, events: [...events] };
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
