import type { z } from 'zod';

/** An event where it lies: `version` counts from 1 in its stream, without gaps. */
export interface StoredEvent<Event> {
  readonly stream: string;
  readonly version: number;
  /** The command that made it. */
  readonly commandId: string;
  readonly event: Event;
}

/** A stream from a version on. `version` is that of the last event there was at the time, 0 when there was none. */
export interface StreamReading<Event> {
  readonly events: readonly StoredEvent<Event>[];
  readonly version: number;
}

/** What the store remembers of a command: what it made, or that its id was given to another one. */
export type CommandResult<Event> = Extract<AppendResult<Event>, { status: 'duplicate' | 'refused' }>;

/** A command by its id, and the digest of what was ordered. */
export interface CommandIdentity {
  readonly commandId: string;
  readonly commandDigest: string;
}

/** What one command made of a stream it saw at `expectedVersion`. */
export interface Append<Event> extends CommandIdentity {
  readonly expectedVersion: number;
  /** Unique in the stream for ever. */
  readonly commandId: string;
  /** SHA-256 of what was ordered: a later command with this id and another digest is refused. */
  readonly commandDigest: string;
  /** When there are none, the command is not remembered: it may come again and be decided anew. */
  readonly events: readonly Event[];
}

/** What came of an append. Only `appended` has changed anything. */
export type AppendResult<Event> =
  | { readonly status: 'appended'; readonly events: readonly StoredEvent<Event>[] }
  /** The command was here before: these are the events it made then. */
  | { readonly status: 'duplicate'; readonly events: readonly StoredEvent<Event>[] }
  /** Somebody else has appended: read again, decide again. */
  | { readonly status: 'conflict'; readonly version: number }
  | { readonly status: 'refused'; readonly code: 'REMIT_EVENT_STORE_COMMAND_ID_REUSED'; readonly reason: string };

/** The state of a stream after its first `version` events, as JSON. */
export interface Snapshot {
  readonly version: number;
  readonly state: unknown;
}

/** Resolves once the events, in the order given, are safe wherever they are published. May be handed an event twice. */
export type PublishEvents<Event> = (events: readonly StoredEvent<Event>[]) => Promise<void>;

export interface PublishTurn {
  /** Most events of one turn. */
  readonly limit: number;
  /** Whether to wait for a replica that is publishing the stream, or to leave it to that one. */
  readonly whenBusy: 'wait' | 'skip';
}

export type PublishTurnResult =
  { readonly status: 'published'; readonly count: number; readonly more: boolean } | { readonly status: 'busy' };

/**
 * Streams of events, and at the same time the outbox they are published from. Two implementations,
 * `PostgresEventStore` and `MemoryEventStore`, pass one suite.
 *
 * Errors carry a code `REMIT_EVENT_STORE_…`, see {@link EventStoreError}. After one, a command may be sent again
 * with its id: it counts once.
 */
export interface EventStore<Event> {
  /** All events, or those after version `after`, which the stream must have. A stream nobody has written to is empty. */
  readStream(stream: string, after?: number): Promise<StreamReading<Event>>;
  append(stream: string, append: Append<Event>): Promise<AppendResult<Event>>;
  /** What came of a command; `undefined`: it has never made an event here. Changes nothing and waits for nobody. */
  resultOf(stream: string, command: CommandIdentity): Promise<CommandResult<Event> | undefined>;
  /** The newest snapshot of this format. It only saves reading: whoever cannot use it reads the stream. */
  readSnapshot(stream: string, format: string): Promise<Snapshot | undefined>;
  /** One is kept for each stream and format; one older than that changes nothing. */
  saveSnapshot(stream: string, format: string, snapshot: Snapshot): Promise<void>;
  /** Names in the order of their code points, after `after`. */
  streams(page: { readonly after?: string; readonly limit: number }): Promise<readonly string[]>;
  /** Events not yet marked as published, by stream and version: what an operator wants to see at 0. */
  unpublished(limit: number): Promise<readonly StoredEvent<Event>[]>;
  /** Names of streams with such events, in the order of their code points, after `after`. */
  unpublishedStreams(page: { readonly after?: string; readonly limit: number }): Promise<readonly string[]>;
  /**
   * Hands the oldest unpublished events of one stream to `publish` in version order, and marks them once that has
   * resolved. No other replica publishes the stream meanwhile; appends go on. When `publish` rejects, nothing is
   * marked and its error is thrown on.
   */
  publishTurn(stream: string, turn: PublishTurn, publish: PublishEvents<Event>): Promise<PublishTurnResult>;
  /** Resolves when the store can be read and written. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type EventSchema<Event> = z.ZodType<Event>;
