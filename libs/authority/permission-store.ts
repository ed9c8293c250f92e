import {
  PostgresEventStore,
  type Append,
  type AppendResult,
  type CommandIdentity,
  type CommandResult,
  type EventStore,
  type LogComparison,
  type PublishEvents,
  type PublishTurn,
  type PublishTurnResult,
  type Snapshot,
  type StoredEvent,
  type StreamReading,
} from '#event-store';
import { permissionEventSchema, type PermissionEvent } from '#domain';

/** Where authority is decided: one stream of permission events per agent. */
export type PermissionStore = EventStore<PermissionEvent>;

export interface PermissionStoreOptions {
  /** `postgres://user:password@host:port/database` */
  readonly databaseUrl: string;
  /** Most connections at once; default: 8. */
  readonly poolSize?: number;
  /** Hears of idle connections that the server has cut; they are replaced when next needed. */
  readonly onConnectionLost?: (error: Error) => void;
}

/**
 * The permission store in PostgreSQL, connected when first needed: a process starts while the database is away, and
 * whatever needs it waits. Until then every call rejects with `REMIT_EVENT_STORE_UNAVAILABLE` and may be repeated.
 */
export class PermissionDatabase implements PermissionStore {
  #opening: Promise<PostgresEventStore<PermissionEvent>> | undefined;

  constructor(private readonly options: PermissionStoreOptions) {}

  #open(): Promise<PostgresEventStore<PermissionEvent>> {
    this.#opening ??= PostgresEventStore.open(permissionEventSchema, {
      ...this.options,
      applicationName: 'remit-permission',
    }).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** The same store against `permission.events`. */
  async comparison(): Promise<LogComparison<PermissionEvent>> {
    return (await this.#open()).log;
  }

  async readStream(stream: string, after?: number): Promise<StreamReading<PermissionEvent>> {
    return (await this.#open()).readStream(stream, after);
  }

  async append(stream: string, append: Append<PermissionEvent>): Promise<AppendResult<PermissionEvent>> {
    return (await this.#open()).append(stream, append);
  }

  async resultOf(stream: string, command: CommandIdentity): Promise<CommandResult<PermissionEvent> | undefined> {
    return (await this.#open()).resultOf(stream, command);
  }

  async readSnapshot(stream: string, format: string): Promise<Snapshot | undefined> {
    return (await this.#open()).readSnapshot(stream, format);
  }

  async saveSnapshot(stream: string, format: string, snapshot: Snapshot): Promise<void> {
    await (await this.#open()).saveSnapshot(stream, format, snapshot);
  }

  async streams(page: { readonly after?: string; readonly limit: number }): Promise<readonly string[]> {
    return (await this.#open()).streams(page);
  }

  async unpublished(limit: number): Promise<readonly StoredEvent<PermissionEvent>[]> {
    return (await this.#open()).unpublished(limit);
  }

  async unpublishedStreams(page: { readonly after?: string; readonly limit: number }): Promise<readonly string[]> {
    return (await this.#open()).unpublishedStreams(page);
  }

  async publishTurn(
    stream: string,
    turn: PublishTurn,
    publish: PublishEvents<PermissionEvent>,
  ): Promise<PublishTurnResult> {
    return (await this.#open()).publishTurn(stream, turn, publish);
  }

  async ping(): Promise<void> {
    await (await this.#open()).ping();
  }

  async close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.close();
  }
}
