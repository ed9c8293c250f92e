import type { BatchHandler, ReceivedMessage, Unreadable } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS } from '#contracts';
import {
  COMMAND_TRAITS,
  commandDigestOf,
  isReservedId,
  permissionTermsOf,
  type PermissionCommand,
  type PermissionEvent,
  type PermissionTerms,
} from '#domain';
import { CHARTER_KEY } from '#segment';
import { AuthorityError, order, permissionPublisher, type AuthorityRuntime } from './authority-runtime.js';
import type { PermissionStore } from './permission-store.js';

type Reading =
  | { readonly ok: true; readonly command: PermissionCommand }
  | { readonly ok: false; readonly code: string; readonly reason: string };

/** What people and timers may order. Uses are reserved and settled by Remit itself, from the log of decisions. */
function problemOfOrder(command: PermissionCommand): { readonly code: string; readonly reason: string } | undefined {
  switch (command.command) {
    case 'ReserveUse':
    case 'ConfirmUse':
    case 'ReleaseUse': {
      const reason = `${command.command} is no order of a person: uses are settled by what was decided`;
      return { code: 'REMIT_COMMAND_NOT_FOR_PEOPLE', reason };
    }
    default:
      if (!isReservedId(command.commandId)) return undefined;
      return {
        code: 'REMIT_COMMAND_ID_RESERVED',
        reason: `the id ${command.commandId} begins as those that Remit makes itself; send it under another`,
      };
  }
}

export function otherKey(agentId: string): { readonly code: string; readonly reason: string } {
  const reason = `the message key must be the agent's id, ${agentId}: order depends on it`;
  return { code: 'REMIT_COMMAND_KEY_MISMATCH', reason };
}

function readCommand(message: ReceivedMessage): Reading {
  const reading = readEvent(EVENTS.permissionCommand, message);
  if (!reading.ok) return reading;
  const command = reading.event.data;
  if (message.key?.toString('utf8') !== command.agentId) return { ok: false, ...otherKey(command.agentId) };
  const problem = problemOfOrder(command);
  return problem === undefined ? { ok: true, command } : { ok: false, ...problem };
}

/** Whether the command is one that a timer or a layer makes: its id is derived. */
function isDerived({ commandId }: PermissionCommand): boolean {
  return commandId.includes('#');
}

/** Waits until the charter has been read as far as it goes now. */
export async function catchUpCharter({ bus, views, viewWaitMs }: AuthorityRuntime): Promise<void> {
  const ends = await bus.ends([TOPICS.charterEvents.name]);
  if (await views.charter.waitUntil(ends.get(TOPICS.charterEvents.name) ?? [], viewWaitMs)) return;
  throw new AuthorityError('REMIT_AUTHORITY_VIEWS_BEHIND', 'the charter has not been read yet: commands wait for it');
}

/** What the charter says of an agent at the moment a message was appended; `undefined` where none was in force. */
export type TermsThen =
  { readonly isKept: true; readonly terms: PermissionTerms | undefined } | { readonly isKept: false };

/** That the charter of a moment is no longer kept does not mean that there was none. */
export function termsAt({ views }: Pick<AuthorityRuntime, 'views'>, agentId: string, logTime: number): TermsThen {
  const then = views.charter.asOf(CHARTER_KEY, logTime);
  if (then === undefined) return { isKept: false };
  return { isKept: true, terms: permissionTermsOf(then.state?.charter, agentId) };
}

export const CHARTER_NOT_KEPT = {
  code: 'REMIT_COMMAND_CHARTER_NOT_KEPT',
  reason:
    'it was appended so long ago that the charter it has to be decided by is no longer kept: send it again under a new id',
} as const;

/**
 * Handles what people and timers order on `permission.commands`, by the charter in force when it was appended. A
 * command that was handled before changes nothing; what came of it is published once more, so that whoever asks again
 * gets the same answer. One whose charter is no longer kept becomes a dead letter, unless it only takes away. While PostgreSQL is away the batch waits.
 */
export function createCommandHandler(runtime: AuthorityRuntime): BatchHandler {
  const { bus } = runtime;
  const publish = permissionPublisher(bus);

  return async (batch) => {
    const unreadable: Unreadable[] = [];
    let charterRead: Promise<void> | undefined;
    for (const message of batch.messages) {
      const reading = readCommand(message);
      if (!reading.ok) {
        unreadable.push({ message, code: reading.code, reason: reading.reason });
        continue;
      }
      const { command } = reading;
      let terms: PermissionTerms | undefined;
      const { charter } = COMMAND_TRAITS[command.command];
      if (charter !== 'unread') {
        await (charterRead ??= catchUpCharter(runtime));
        const then = termsAt(runtime, command.agentId, message.logTime);
        if (then.isKept) terms = then.terms;
        else if (charter === 'required') {
          unreadable.push({ message, ...CHARTER_NOT_KEPT });
          continue;
        }
      }
      const handled = await order(runtime, { command, at: message.logTime, terms });
      if (handled.status === 'refused') unreadable.push({ message, code: handled.code, reason: handled.reason });
      else if (handled.status === 'duplicate' && !isDerived(command)) await publish(handled.events);
      await batch.heartbeat();
    }
    return { publish: [], unreadable };
  };
}

/** Whether the store has seen a command: never, or with the same content, or its id with other content. */
export type CommandStanding =
  | { readonly status: 'new' | 'other content' }
  /** `events`: what came of it. */
  | { readonly status: 'done'; readonly events: readonly PermissionEvent[] };

/** For whoever has to tell a person at once. */
export async function standingOfCommand(
  store: Pick<PermissionStore, 'resultOf'>,
  command: PermissionCommand,
): Promise<CommandStanding> {
  const { agentId, commandId } = command;
  const result = await store.resultOf(agentId, { commandId, commandDigest: commandDigestOf(command, sha256) });
  if (result === undefined) return { status: 'new' };
  if (result.status === 'refused') return { status: 'other content' };
  return { status: 'done', events: result.events.map(({ event }) => event) };
}
