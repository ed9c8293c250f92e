import type {
  Append,
  AppendResult,
  CommandIdentity,
  CommandResult,
  EventSchema,
  EventStore,
  PublishEvents,
  PublishTurn,
  PublishTurnResult,
  Snapshot,
  StoredEvent,
  StreamReading,
} from './event-store.js';
import { commandIdReused } from './command-id-reused.js';
import { eventOfRow, textOfEvent, type EventRow } from './event-text.js';

interface MemoryStream {
  readonly rows: EventRow[];
  readonly snapshots: Map<string, { readonly version: number; readonly text: string }>;
  readonly commands: Map<string, { readonly digest: string; readonly from: number; readonly to: number }>;
  published: number;
  /** Settles when the replica that is publishing has finished. */
  publishing: Promise<void> | undefined;
}

/** What several in-memory stores share, as replicas share a database. */
export class MemoryEventStorage {
  readonly streams = new Map<string, MemoryStream>();
}

/** The in-memory twin of `PostgresEventStore`. Keeps texts, so that nobody who holds an event can change history. */
export class MemoryEventStore<Event> implements EventStore<Event> {
  constructor(
    private readonly schema: EventSchema<Event>,
    private readonly storage = new MemoryEventStorage(),
  ) {}

  readStream(stream: string, after = 0): Promise<StreamReading<Event>> {
    return settle(() => {
      const rows = (this.storage.streams.get(stream)?.rows ?? []).slice(after);
      return { events: this.read(rows), version: after + rows.length };
    });
  }

  append(name: string, append: Append<Event>): Promise<AppendResult<Event>> {
    return settle((): AppendResult<Event> => {
      const texts = append.events.map((event) => textOfEvent(this.schema, name, event));
      const stream = this.storage.streams.get(name) ?? newStream();
      const before = this.find(name, append);
      if (before !== undefined) return before;
      const from = stream.rows.length;
      if (from !== append.expectedVersion) return { status: 'conflict', version: from };
      if (texts.length === 0) return { status: 'appended', events: [] };
      const rows = texts.map((text, index) => ({
        stream: name,
        version: from + index + 1,
        commandId: append.commandId,
        text,
      }));
      stream.rows.push(...rows);
      stream.commands.set(append.commandId, { digest: append.commandDigest, from, to: from + rows.length });
      this.storage.streams.set(name, stream);
      return { status: 'appended', events: this.read(rows) };
    });
  }

  resultOf(name: string, command: CommandIdentity): Promise<CommandResult<Event> | undefined> {
    return settle(() => this.find(name, command));
  }

  private find(name: string, { commandId, commandDigest }: CommandIdentity): CommandResult<Event> | undefined {
    const stream = this.storage.streams.get(name);
    const before = stream?.commands.get(commandId);
    if (stream === undefined || before === undefined) return undefined;
    if (before.digest !== commandDigest) return commandIdReused(name, commandId);
    return { status: 'duplicate', events: this.read(stream.rows.slice(before.from, before.to)) };
  }

  readSnapshot(name: string, format: string): Promise<Snapshot | undefined> {
    return settle(() => {
      const saved = this.storage.streams.get(name)?.snapshots.get(format);
      return saved && { version: saved.version, state: JSON.parse(saved.text) as unknown };
    });
  }

  saveSnapshot(name: string, format: string, { version, state }: Snapshot): Promise<void> {
    return settle(() => {
      const snapshots = this.storage.streams.get(name)?.snapshots;
      if ((snapshots?.get(format)?.version ?? 0) < version) {
        snapshots?.set(format, { version, text: JSON.stringify(state) });
      }
    });
  }

  streams(page: { after?: string; limit: number }): Promise<readonly string[]> {
    return settle(() => this.names(page, () => true));
  }

  unpublished(limit: number): Promise<readonly StoredEvent<Event>[]> {
    return settle(() => {
      const names = [...this.storage.streams.keys()].sort();
      const rows = names.flatMap((name) => unpublishedOf(this.storage.streams.get(name)));
      return this.read(rows.slice(0, limit));
    });
  }

  unpublishedStreams(page: { after?: string; limit: number }): Promise<readonly string[]> {
    return settle(() => this.names(page, (stream) => unpublishedOf(stream).length > 0));
  }

  async publishTurn(name: string, turn: PublishTurn, publish: PublishEvents<Event>): Promise<PublishTurnResult> {
    const stream = this.storage.streams.get(name);
    if (stream === undefined) return { status: 'published', count: 0, more: false };
    while (stream.publishing !== undefined) {
      if (turn.whenBusy === 'skip') return { status: 'busy' };
      await stream.publishing;
    }
    let finish = (): void => undefined;
    stream.publishing = new Promise((resolve) => {
      finish = resolve;
    });
    try {
      const rows = unpublishedOf(stream).slice(0, turn.limit);
      if (rows.length > 0) await publish(this.read(rows));
      stream.published += rows.length;
      return { status: 'published', count: rows.length, more: rows.length === turn.limit };
    } finally {
      stream.publishing = undefined;
      finish();
    }
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private read(rows: readonly EventRow[]): StoredEvent<Event>[] {
    return rows.map((row) => eventOfRow(this.schema, row));
  }

  private names(page: { after?: string; limit: number }, wanted: (stream: MemoryStream) => boolean): string[] {
    return [...this.storage.streams]
      .filter(([name, stream]) => (page.after === undefined || name > page.after) && wanted(stream))
      .map(([name]) => name)
      .sort()
      .slice(0, page.limit);
  }
}

function newStream(): MemoryStream {
  return { rows: [], snapshots: new Map(), commands: new Map(), published: 0, publishing: undefined };
}

function unpublishedOf(stream: MemoryStream | undefined): readonly EventRow[] {
  return stream?.rows.slice(stream.published) ?? [];
}

/** Rejects where the database would, instead of throwing at the call. */
function settle<Result>(work: () => Result): Promise<Result> {
  return new Promise((resolve) => resolve(work()));
}
