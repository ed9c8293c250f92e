import { publishLeftovers } from '#event-store';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import {
  dueCommands,
  supersedeCommands,
  type AgentAuthority,
  type Charter,
  type DueCommand,
  type PermissionCommand,
  type Resting,
} from '#domain';
import { CHARTER_KEY } from '#segment';
import { permissionPublisher, type AuthorityRuntime } from './authority-runtime.js';

export interface AuthorityTimerOptions {
  /** The clock that tells what is due, ms since the epoch. Nothing is judged by it. */
  readonly now: () => number;
  /** Hears of every pass that failed; the next one tries again. */
  readonly onFailure: (error: unknown) => void;
  /** Hears of every failure to publish what was left, beside {@link onFailure}: of each agent, or of the whole pass. */
  readonly onNotPublished?: (() => void) | undefined;
  /** How often to look for what is due, ms; 1 s unless told. */
  readonly everyMs?: number;
  /** How often to publish what crashes and outages have left, ms; 5 s unless told. */
  readonly sweepEveryMs?: number;
}

export interface AuthorityTimer {
  /** Ends after the pass in hand. */
  stop(): Promise<void>;
}

/** So long an order is given time before it is sent again: it may have come early by the brokers' clock. */
const SENT_AGAIN_AFTER_MS = 5_000;

/**
 * What people order waits behind no more than this: so many commands of timers a pass, and of one agent so many. None
 * of them is urgent, and what is left comes with the next pass.
 */
const MAX_COMMANDS_PER_PASS = 100;
const MAX_COMMANDS_PER_AGENT = 10;

interface Due {
  readonly commands: readonly DueCommand[];
  superseded?: { readonly charterDigest: string; readonly commands: readonly PermissionCommand[] };
}

/**
 * Records what ends by itself, in any number of replicas: orders the end of grants and requests whose time has run out,
 * and of requests that rest on what the charter in force says otherwise, under derived ids. No decision depends on it, however late it is. Also
 * publishes permission events that a crash or an outage has left unpublished, at once and every few seconds.
 */
export function startAuthorityTimer(runtime: AuthorityRuntime, options: AuthorityTimerOptions): AuthorityTimer {
  const { bus, store, views } = runtime;
  const { now, onFailure, onNotPublished, everyMs = 1_000, sweepEveryMs = 5_000 } = options;
  const publish = permissionPublisher(bus);
  const sent = new Map<string, number>();
  const known = new WeakMap<AgentAuthority, Due>();
  /** The agent to begin with: the one after the last whose turn it was. */
  let next: string | undefined;

  /** A state never changes, so what it holds for later is found once. */
  function dueOf(agentId: string, authority: AgentAuthority): Due {
    let due = known.get(authority);
    if (due === undefined) known.set(authority, (due = { commands: dueCommands(agentId, authority) }));
    return due;
  }

  function* dueOfAgent(agentId: string, time: number, charter: Charter | undefined): Generator<PermissionCommand> {
    const authority = views.permissions.latest(agentId);
    if (authority === undefined) return;
    const due = dueOf(agentId, authority);
    for (const { dueAt, command } of due.commands) {
      if (dueAt > time) break;
      yield command;
    }
    if (charter === undefined) return;
    if (due.superseded?.charterDigest !== charter.digest) {
      const terms = { charterDigest: charter.digest, basisOf: (request: Resting) => charter.basisOf(agentId, request) };
      due.superseded = { charterDigest: charter.digest, commands: supersedeCommands(agentId, authority, terms) };
    }
    yield* due.superseded.commands;
  }

  /** Every agent of which something has not ended, in turn, whoever had much the last time. */
  function agentsInTurn(): readonly string[] {
    const all = [...views.permissions.openKeys()];
    const first = next === undefined ? -1 : all.indexOf(next);
    return first <= 0 ? all : [...all.slice(first), ...all.slice(0, first)];
  }

  function* dueNow(time: number): Generator<PermissionCommand> {
    const charter = views.charter.latest(CHARTER_KEY)?.charter;
    let left = MAX_COMMANDS_PER_PASS;
    for (const agentId of agentsInTurn()) {
      let own = MAX_COMMANDS_PER_AGENT;
      for (const command of dueOfAgent(agentId, time, charter)) {
        if (sent.has(`${agentId}\n${command.commandId}`)) continue;
        if (left === 0) {
          next = agentId;
          return;
        }
        if (own === 0) break;
        yield command;
        left -= 1;
        own -= 1;
      }
    }
    next = undefined;
  }

  async function orderWhatIsDue(): Promise<void> {
    const time = now();
    for (const [id, at] of sent) if (time - at >= SENT_AGAIN_AFTER_MS) sent.delete(id);
    const messages = [];
    for (const command of dueNow(time)) {
      const { agentId, commandId } = command;
      sent.set(`${agentId}\n${commandId}`, time);
      const event = writeEvent(EVENTS.permissionCommand, {
        id: commandId,
        source: '/remit/timer',
        subject: agentId,
        data: command,
      });
      messages.push({ topic: TOPICS.permissionCommands.name, key: agentId, ...event });
    }
    if (messages.length > 0) await bus.publish(messages);
  }

  async function sweep(): Promise<void> {
    const { failed } = await publishLeftovers(store, publish);
    for (const { error } of failed) notPublished(error);
  }

  function notPublished(error: unknown): void {
    onNotPublished?.();
    onFailure(error);
  }

  const passes = [every(everyMs, orderWhatIsDue, onFailure), every(sweepEveryMs, sweep, notPublished)];
  return {
    async stop() {
      await Promise.all(passes.map((pass) => pass.stop()));
    },
  };
}

/** Works now and then again and again, never twice at once. */
export function every(ms: number, work: () => Promise<void>, onFailure: (error: unknown) => void): AuthorityTimer {
  let stopping = false;
  let next: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const pass = (): void => {
    running = work()
      .catch(onFailure)
      .then(() => {
        if (!stopping) next = setTimeout(pass, ms);
      });
  };
  pass();
  return {
    async stop() {
      stopping = true;
      clearTimeout(next);
      await running;
    },
  };
}
