import type { CommandIdentity, EventStore, PublishEvents, StoredEvent } from './event-store.js';
import { EventStoreError } from './event-store-error.js';
import { publishStream } from './publishing.js';

/** The brain of an aggregate: pure, so that it may decide again after every conflict. */
export interface Decider<Command, State, Event> {
  decide(command: Command, state: State): readonly Event[];
  /** Must not change the state it is given. */
  evolve(state: State, event: Event): State;
  initialState(): State;
}

/** How a state is kept as JSON. */
export interface SnapshotFormat<State> {
  /** Names what `write` writes: another name whenever `evolve` or the state's shape changes. */
  readonly name: string;
  write(state: State): unknown;
  /** `undefined`: not readable; the stream is then read from its first event. */
  read(json: unknown): State | undefined;
}

export interface CommandToHandle<Command> extends CommandIdentity {
  readonly stream: string;
  readonly command: Command;
  /**
   * A version that the stream is known to have had, the newest known. A store with fewer was set back: nothing is decided
   * by it.
   */
  readonly knownVersion?: number | undefined;
}

/** The state of a stream after so many events. */
export interface StreamState<State> {
  readonly state: State;
  readonly version: number;
}

/** `duplicate`: the command was handled before, these are the events it made then. */
export type Handled<Event> =
  | { readonly status: 'appended' | 'duplicate'; readonly events: readonly StoredEvent<Event>[] }
  | { readonly status: 'refused'; readonly code: 'REMIT_EVENT_STORE_COMMAND_ID_REUSED'; readonly reason: string };

export interface AggregatesOptions<State> {
  /** Without it no snapshot is kept, and a stream that is not in memory is read from its first event. */
  readonly snapshots?: SnapshotFormat<State> | undefined;
  /** A snapshot after so many events; default: 200. */
  readonly snapshotEvery?: number | undefined;
  /** States kept in memory, of the streams used last; default: 500. */
  readonly statesKept?: number | undefined;
}

interface Place<State> extends StreamState<State> {
  /** Version of the newest snapshot known of. */
  readonly savedAt: number;
}

/** Each round somebody's append succeeds, so only a stream that more writers than this share can get here. */
const MAX_ROUNDS = 100;
const DEFAULT_SNAPSHOT_EVERY = 200;
const DEFAULT_STATES_KEPT = 500;

/**
 * Decides commands against their streams. What a command costs depends on the state it is decided on, not on how many
 * events led to it: states are kept in memory, and as snapshots in the store.
 */
export class Aggregates<Command, State, Event> {
  readonly #places = new Map<string, Place<State>>();
  readonly #snapshots: SnapshotFormat<State> | undefined;
  readonly #snapshotEvery: number;
  readonly #statesKept: number;

  constructor(
    private readonly store: EventStore<Event>,
    private readonly decider: Decider<Command, State, Event>,
    options: AggregatesOptions<State> = {},
  ) {
    this.#snapshots = options.snapshots;
    this.#snapshotEvery = options.snapshotEvery ?? DEFAULT_SNAPSHOT_EVERY;
    this.#statesKept = options.statesKept ?? DEFAULT_STATES_KEPT;
  }

  /** The state as this process last knew it; others may have appended since. Asks nobody. */
  known(stream: string): StreamState<State> | undefined {
    return this.#places.get(stream);
  }

  /** What this process knew of a stream counts no more: the store has other events of it now. */
  forget(stream: string): void {
    this.#places.delete(stream);
  }

  /** The state by all that is stored now. */
  current(stream: string): Promise<StreamState<State>> {
    return this.#readOn(stream);
  }

  /**
   * Decides a command against its stream and appends what came of it; decides again when someone was faster. A command
   * of which nothing came is not remembered: it may come again and then be decided anew.
   */
  async handle(order: CommandToHandle<Command>): Promise<Handled<Event>> {
    const { stream, commandId, commandDigest, command, knownVersion = 0 } = order;
    let place = this.#places.get(stream);
    let isFresh = false;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      if (place === undefined) {
        place = await this.#readOn(stream, order.knownVersion);
        isFresh = true;
        if (place.version < knownVersion) throw behindLog(stream, place.version, knownVersion);
      }
      const events = this.decider.decide(command, place.state);
      if (events.length === 0) {
        if (isFresh) {
          return (
            (await this.store.resultOf(stream, { commandId, commandDigest })) ?? { status: 'appended', events: [] }
          );
        }
        place = undefined;
        continue;
      }
      const expectedVersion = place.version;
      const result = await this.store.append(stream, { expectedVersion, commandId, commandDigest, events });
      if (result.status !== 'conflict') {
        if (result.status === 'appended') await this.#advance(stream, place, result.events);
        return result;
      }
      // a database that was put back to an earlier day knows less than this process
      if (result.version < expectedVersion) this.#places.delete(stream);
      place = undefined;
    }
    throw new EventStoreError(
      'REMIT_EVENT_STORE_CONTENDED',
      `${MAX_ROUNDS} times in a row someone else appended to stream ${stream} first; send command ${commandId} again`,
    );
  }

  /**
   * {@link handle}, then publishes the stream: when it resolves, whatever came of the command is public. When
   * publishing fails the events are stored all the same and the next sweep or redelivery publishes them; the error of
   * `publish` is thrown on, so that nobody acknowledges too early.
   */
  async handleAndPublish(command: CommandToHandle<Command>, publish: PublishEvents<Event>): Promise<Handled<Event>> {
    const handled = await this.handle(command);
    if (isToPublish(handled)) await publishStream(this.store, command.stream, publish);
    return handled;
  }

  /** A stream that is short as far as is known has no snapshot that would save reading: it is not asked for. */
  async #readOn(stream: string, knownVersion = Infinity): Promise<Place<State>> {
    const isShort = knownVersion < this.#snapshotEvery;
    const from = this.#places.get(stream) ?? (isShort ? this.#begun() : await this.#restored(stream));
    const { events, version } = await this.store.readStream(stream, from.version);
    return this.#keep(stream, { ...from, state: this.#evolved(from.state, events), version });
  }

  async #restored(stream: string): Promise<Place<State>> {
    const format = this.#snapshots;
    const saved = format && (await this.store.readSnapshot(stream, format.name));
    const state = saved && format?.read(saved.state);
    if (saved === undefined || state === undefined) return this.#begun();
    return { state, version: saved.version, savedAt: saved.version };
  }

  #begun(): Place<State> {
    return { state: this.decider.initialState(), version: 0, savedAt: 0 };
  }

  async #advance(stream: string, before: Place<State>, events: readonly StoredEvent<Event>[]): Promise<void> {
    const { savedAt } = before;
    const version = before.version + events.length;
    const place = this.#keep(stream, { state: this.#evolved(before.state, events), version, savedAt });
    const format = this.#snapshots;
    if (format === undefined || version - savedAt < this.#snapshotEvery) return;
    this.#keep(stream, { ...place, savedAt: version });
    try {
      await this.store.saveSnapshot(stream, format.name, { version, state: format.write(place.state) });
    } catch {
      // the events are stored: without the snapshot, reading them costs more
      this.#keep(stream, place);
    }
  }

  #evolved(state: State, events: readonly StoredEvent<Event>[]): State {
    return events.reduce((before, { event }) => this.decider.evolve(before, event), state);
  }

  /** The newest of what two commands at once have found; those used last are at the end. */
  #keep(stream: string, place: Place<State>): Place<State> {
    const kept = this.#places.get(stream);
    const newest = kept === undefined || kept.version <= place.version ? place : kept;
    this.#places.delete(stream);
    if (newest.version > 0) this.#places.set(stream, newest);
    if (this.#places.size > this.#statesKept) {
      const [oldest] = this.#places.keys();
      if (oldest !== undefined) this.#places.delete(oldest);
    }
    return place;
  }
}

/** What came to nothing has left nothing to publish, and of a stream that was never written to not even a name. */
export function isToPublish<Event>(handled: Handled<Event>): boolean {
  return handled.status !== 'refused' && handled.events.length > 0;
}

function behindLog(stream: string, version: number, known: number): EventStoreError {
  return new EventStoreError(
    'REMIT_EVENT_STORE_BEHIND_LOG',
    `stream ${stream} ends at version ${String(version)} and the log has ${String(known)}: the database was restored from ` +
      'an older backup. What it lacks is read back from the log; commands wait for it',
  );
}
