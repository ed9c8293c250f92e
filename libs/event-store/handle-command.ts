import type { EventStore, PublishEvents, StoredEvent } from './event-store.js';
import { EventStoreError } from './event-store-error.js';
import { publishStream } from './publishing.js';

/** The brain of an aggregate: pure, so that it may decide again after every conflict. */
export interface Decider<Command, State, Event> {
  decide(command: Command, state: State): readonly Event[];
  evolve(state: State, event: Event): State;
  initialState(): State;
}

export interface CommandToHandle<Command> {
  readonly stream: string;
  readonly commandId: string;
  /** SHA-256 of what was ordered, without what differs between deliveries. */
  readonly commandDigest: string;
  readonly command: Command;
}

/** `duplicate`: the command was handled before, these are the events it made then. */
export type Handled<Event> =
  | { readonly status: 'appended' | 'duplicate'; readonly events: readonly StoredEvent<Event>[] }
  | { readonly status: 'refused'; readonly code: 'REMIT_EVENT_STORE_COMMAND_ID_REUSED'; readonly reason: string };

/** Each round somebody's append succeeds, so only a stream that more writers than this share can get here. */
const MOST_ROUNDS = 100;

/**
 * Decides a command against its stream and appends what came of it; decides again when someone was faster. A command
 * of which nothing came is not remembered: it may come again and then be decided anew.
 */
export async function handleCommand<Command, State, Event>(
  store: EventStore<Event>,
  decider: Decider<Command, State, Event>,
  { stream, commandId, commandDigest, command }: CommandToHandle<Command>,
): Promise<Handled<Event>> {
  let state = decider.initialState();
  let seen = 0;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const reading = await store.readStream(stream, seen);
    state = reading.events.reduce((before, { event }) => decider.evolve(before, event), state);
    seen = reading.version;
    const events = decider.decide(command, state);
    const result = await store.append(stream, { expectedVersion: seen, commandId, commandDigest, events });
    if (result.status !== 'conflict') return result;
  }
  throw new EventStoreError(
    'REMIT_EVENT_STORE_CONTENDED',
    `${MOST_ROUNDS} times in a row someone else appended to stream ${stream} first; send command ${commandId} again`,
  );
}

/**
 * {@link handleCommand}, then publishes the stream: when it resolves, whatever came of the command is public. When
 * publishing fails the events are stored all the same and the next sweep or redelivery publishes them; the error of
 * `publish` is thrown on, so that nobody acknowledges too early.
 */
export async function handleAndPublish<Command, State, Event>(
  store: EventStore<Event>,
  decider: Decider<Command, State, Event>,
  publish: PublishEvents<Event>,
  command: CommandToHandle<Command>,
): Promise<Handled<Event>> {
  const handled = await handleCommand(store, decider, command);
  if (handled.status !== 'refused') await publishStream(store, command.stream, publish);
  return handled;
}
