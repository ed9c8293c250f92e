import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BatchHandler, ReceivedMessage, Unreadable } from '#bus';
import { EVENTS, readEvent } from '#contracts';
import {
  commandOfAsk,
  INITIAL_AUTHORITY,
  refusalUnstored,
  requestNamed,
  type AgentAuthority,
  type AskRefusalCode,
  type PermissionCommand,
  type PlacedCommand,
} from '#domain';
import { order, authoritiesIn, permissionPublisher, type AuthorityRuntime } from './authority-runtime.js';
import { catchUpCharter, CHARTER_NOT_KEPT, otherKey, termsAt } from './command-handler.js';

/** Dead letters about the refused requests of one agent, at most so many in a minute of the log; the rest are counted. */
export const MAX_LETTERS_PER_MINUTE = 10;

/** Answers that an agent is given once more, at most so many in a minute of the log. */
const MAX_REPEATS_PER_MINUTE = 10;

const MINUTE_MS = 60_000;
const TURN_MS = 5;

/** Counts per name and minute, for no more names than it is told of at a time. */
class PerMinute {
  readonly #counts = new Map<string, { minute: number; count: number }>();

  constructor(
    private readonly most: number,
    private readonly names = 10_000,
  ) {}

  /** How many there have been in this minute with this one; beyond the limit they are only counted. */
  add(name: string, time: number): { readonly isWithin: boolean; readonly before: number } {
    const minute = Math.floor(time / MINUTE_MS);
    const known = this.#counts.get(name);
    const before = known !== undefined && known.minute !== minute ? Math.max(0, known.count - this.most) : 0;
    const entry = known?.minute === minute ? known : { minute, count: 0 };
    entry.count += 1;
    this.#counts.delete(name);
    this.#counts.set(name, entry);
    if (this.#counts.size > this.names) {
      const [oldest] = this.#counts.keys();
      if (oldest !== undefined) this.#counts.delete(oldest);
    }
    return { isWithin: entry.count <= this.most, before };
  }
}

/** Agents that no charter knows share one name here: whoever makes up ids makes up any number. */
const UNKNOWN_AGENTS = '';

/**
 * Handles what agents ask for on `permission.requests`, apart from what people order, by the charter in force when it
 * was appended. What an agent asks beyond its limits, or without being in the charter, is refused and kept nowhere: a
 * dead letter says so, some times in a minute, and every refusal is counted. While PostgreSQL is away the batch waits.
 */
export function createRequestHandler(runtime: AuthorityRuntime): BatchHandler {
  const { bus, store, views } = runtime;
  const publish = permissionPublisher(bus);
  const authorities = authoritiesIn(store);
  const letters = new PerMinute(MAX_LETTERS_PER_MINUTE);
  const repeats = new PerMinute(MAX_REPEATS_PER_MINUTE);

  /**
   * A flood is refused by what is known here: what others have added meanwhile could only make a refusal by rate surer,
   * and the store is asked again only when the log tells of more than is known.
   */
  async function problemOf(placed: PlacedCommand): Promise<ReturnType<typeof refusalUnstored>> {
    const { agentId } = placed.command;
    const { terms } = placed;
    if (terms?.agentKnown !== true) return problemNow(placed, undefined);
    const known = authorities.known(agentId) ?? (await authorities.current(agentId));
    const problem = problemNow(placed, known.state);
    if (problem?.[0] !== 'REMIT_PERMISSION_TOO_MANY_OPEN') return problem;
    if ((views.permissions.latest(agentId)?.version ?? 0) <= known.version) return problem;
    return problemNow(placed, (await authorities.current(agentId)).state);
  }

  async function handle(message: ReceivedMessage, command: PermissionCommand): Promise<Unreadable | undefined> {
    const { agentId } = command;
    const then = termsAt(runtime, agentId, message.logTime);
    if (!then.isKept) return { message, ...CHARTER_NOT_KEPT };
    const placed = { command, at: message.logTime, terms: then.terms };
    const problem = await problemOf(placed);
    if (problem !== undefined) return letterOf(message, agentId, problem);
    const handled = await order(runtime, placed);
    if (handled.status === 'refused') return { message, code: handled.code, reason: handled.reason };
    if (handled.status === 'duplicate' && repeats.add(agentId, message.logTime).isWithin) await publish(handled.events);
    return undefined;
  }

  function letterOf(
    message: ReceivedMessage,
    agentId: string,
    [code, problem]: readonly [AskRefusalCode, string],
  ): Unreadable | undefined {
    runtime.onRequestRefused?.(code);
    const isKnown = code !== 'REMIT_PERMISSION_AGENT_UNKNOWN' && code !== 'REMIT_PERMISSION_NO_CHARTER';
    const { isWithin, before } = letters.add(isKnown ? agentId : UNKNOWN_AGENTS, message.logTime);
    if (!isWithin) return undefined;
    const untold = before === 0 ? '' : `; ${String(before)} more were refused before without a letter of their own`;
    return { message, code, reason: problem + untold };
  }

  return async (batch) => {
    const unreadable: Unreadable[] = [];
    await catchUpCharter(runtime);
    let turnEnds = performance.now() + TURN_MS;
    for (const message of batch.messages) {
      const reading = readEvent(EVENTS.permissionRequest, message);
      if (!reading.ok) {
        unreadable.push({ message, code: reading.code, reason: reading.reason });
        continue;
      }
      const asked = reading.event.data;
      if (message.key?.toString('utf8') !== asked.agentId) {
        unreadable.push({ message, ...otherKey(asked.agentId) });
        continue;
      }
      const letter = await handle(message, commandOfAsk(asked));
      if (letter !== undefined) unreadable.push(letter);
      await batch.heartbeat();
      if (performance.now() < turnEnds) continue;
      // refusing takes no more than a moment each, and so many of them must not keep others from their turn
      await nextTurn();
      turnEnds = performance.now() + TURN_MS;
    }
    return { publish: [], unreadable };
  };
}

/** A request that is known already is redelivered: it has its answer. */
function problemNow(placed: PlacedCommand, state: AgentAuthority | undefined): ReturnType<typeof refusalUnstored> {
  const { command } = placed;
  if (state !== undefined && command.command === 'RequestPermission' && requestNamed(state, command.commandId)) {
    return undefined;
  }
  return refusalUnstored(placed, state ?? INITIAL_AUTHORITY);
}
