import { randomUUID, type KeyObject } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { ExpiringMap } from './expiring-map.js';
import type { Position } from './history.js';
import type { MasterKey, RecordKeys } from './record-keys.js';
import { RecordError } from './record-error.js';
import { freshBytes, KEY_BYTES, secretKey, unwrapKey, wrapKey } from './sealing.js';
import type { Subject } from './search-terms.js';

/** Runs one statement on the record's database. */
export type Query = <Row>(sql: string, parameters: readonly unknown[]) => Promise<Row[]>;

export interface IntentKey {
  readonly id: string;
  readonly key: KeyObject;
}

const MOST_REMEMBERED = 20_000;
/** A destroyed key is forgotten this long after it was last read, ms. */
const REMEMBERED_MS = 30_000;

const CREATE = `
  INSERT INTO record.intent_key (id, scope, agent_id, intent_id, wrapped)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[])
  ON CONFLICT (scope) WHERE wrapped IS NOT NULL DO NOTHING
  RETURNING id`;

const FIND = 'SELECT id, scope, wrapped FROM record.intent_key WHERE scope = ANY($1::text[]) AND wrapped IS NOT NULL';

const NAME_PERSONS = `
  INSERT INTO record.key_person (person, key_id)
  SELECT * FROM unnest($1::bytea[], $2::uuid[]) ON CONFLICT DO NOTHING`;

const OPEN = 'SELECT id, wrapped FROM record.intent_key WHERE id = ANY($1::uuid[])';

const IDENTIFY = 'INSERT INTO record.identity (id, master_key_id) VALUES ($1, $2) ON CONFLICT DO NOTHING';
const IDENTITY = 'SELECT id, master_key_id AS "masterKeyId" FROM record.identity';

function intentScope({ agentId, intentId }: { readonly agentId: string; readonly intentId: string }): string {
  return `intent ${agentId}/${intentId}`;
}

/** What shares a key: everything that holds the content of one intent; else each message has its own. */
export function scopeOf(subject: Subject, at: Position): string {
  return subject.intent === undefined
    ? `message ${subject.agentId ?? ''} ${at.topic}/${String(at.partition)}/${String(at.offset)}`
    : intentScope(subject.intent);
}

/** A message to be sealed. */
export interface Sealable {
  readonly scope: string;
  readonly subject: Subject;
}

/** The keys of intents, in a table of their own, each wrapped by the master key. */
export class IntentKeys {
  readonly #keys: RecordKeys;
  readonly #byScope = new ExpiringMap<IntentKey>(MOST_REMEMBERED, REMEMBERED_MS);
  readonly #personsNamed = new ExpiringMap<true>(MOST_REMEMBERED, REMEMBERED_MS);
  readonly #tags = new ExpiringMap<Buffer>(MOST_REMEMBERED, REMEMBERED_MS);
  #recordId: string | undefined;

  constructor(keys: RecordKeys) {
    this.#keys = keys;
  }

  /**
   * The key for each scope, made where there is none. They are kept before anything is sealed with them, so that no
   * value can outlive its key by a crash.
   */
  async forScopes(query: Query, sealables: readonly Sealable[]): Promise<ReadonlyMap<string, IntentKey>> {
    const master = await this.#master(query);
    const found = new Map<string, IntentKey>();
    const wanted = new Map<string, Subject>();
    for (const { scope, subject } of sealables) {
      const known = this.#byScope.get(scope);
      if (known === undefined) wanted.set(scope, subject);
      else found.set(scope, known);
    }
    if (wanted.size > 0) {
      // One order for all replicas, so that no two wait for each other in a circle.
      const scopes = [...wanted.keys()].sort();
      const fresh = scopes.map((scope) => ({ scope, id: uuidv7(), bytes: freshBytes(KEY_BYTES) }));
      const kept = await query<{ id: string }>(CREATE, [
        fresh.map(({ id }) => id),
        scopes,
        scopes.map((scope) => wanted.get(scope)?.agentId ?? null),
        scopes.map((scope) => wanted.get(scope)?.intent?.intentId ?? null),
        fresh.map(({ id, bytes }) => wrapKey(master, id, bytes)),
      ]);
      const made = new Set(kept.map(({ id }) => id));
      const remember = (scope: string, key: IntentKey): void => {
        this.#byScope.set(scope, key);
        found.set(scope, key);
      };
      for (const { scope, id, bytes } of fresh) if (made.has(id)) remember(scope, { id, key: secretKey(bytes) });
      const others = scopes.filter((scope) => !found.has(scope));
      const rows =
        others.length === 0 ? [] : await query<{ id: string; scope: string; wrapped: Buffer }>(FIND, [others]);
      for (const { id, scope, wrapped } of rows) remember(scope, { id, key: unwrapKey(master, id, wrapped) });
    }
    await this.#namePersons(query, master, sealables, found);
    return found;
  }

  /** The keys with these ids; destroyed ones are left out. None is remembered: readers come by once. */
  async withIds(query: Query, ids: readonly string[]): Promise<ReadonlyMap<string, KeyObject>> {
    const found = new Map<string, KeyObject>();
    if (ids.length === 0) return found;
    const master = await this.#master(query);
    for (const { id, wrapped } of await query<{ id: string; wrapped: Buffer | null }>(OPEN, [[...new Set(ids)]])) {
      if (wrapped !== null) found.set(id, unwrapKey(master, id, wrapped));
    }
    return found;
  }

  /** Forgets what it has read. */
  clear(): void {
    this.#byScope.clear();
    this.#personsNamed.clear();
    this.#tags.clear();
    this.#recordId = undefined;
  }

  /** The record's own id, made when it is first written. Throws `REMIT_RECORD_OTHER_KEY`. */
  async recordId(query: Query): Promise<string> {
    if (this.#recordId !== undefined) return this.#recordId;
    const master = await this.#keys.master();
    const read = async (): Promise<{ id: string; masterKeyId: string } | undefined> =>
      (await query<{ id: string; masterKeyId: string }>(IDENTITY, []))[0];
    let identity = await read();
    if (identity === undefined) {
      await query(IDENTIFY, [randomUUID(), master.id]);
      identity = await read();
    }
    if (identity?.masterKeyId !== master.id) {
      throw new RecordError(
        'REMIT_RECORD_OTHER_KEY',
        `the record was sealed with another master key than the one in ${this.#keys.folder}; ` +
          'point REMIT_RECORD_KEYS to the folder that all of its processes share',
      );
    }
    this.#recordId = identity.id;
    return identity.id;
  }

  async #master(query: Query): Promise<MasterKey> {
    await this.recordId(query);
    return this.#keys.master();
  }

  async #namePersons(
    query: Query,
    master: MasterKey,
    sealables: readonly Sealable[],
    keys: ReadonlyMap<string, IntentKey>,
  ): Promise<void> {
    const named = new Map<string, readonly [Buffer, string]>();
    for (const { scope, subject } of sealables) {
      const key = keys.get(scope);
      if (subject.person === null || key === undefined) continue;
      const name = `${key.id} ${subject.person}`;
      if (named.has(name) || this.#personsNamed.get(name) === true) continue;
      named.set(name, [this.#tagOf(master, subject.person), key.id]);
    }
    if (named.size === 0) return;
    const rows = [...named.values()].sort(([a], [b]) => Buffer.compare(a, b));
    await query(NAME_PERSONS, [rows.map(([tag]) => tag), rows.map(([, id]) => id)]);
    for (const name of named.keys()) this.#personsNamed.set(name, true);
  }

  #tagOf(master: MasterKey, person: string): Buffer {
    const known = this.#tags.get(person);
    if (known !== undefined) return known;
    const tag = master.personTag(person);
    this.#tags.set(person, tag);
    return tag;
  }
}
