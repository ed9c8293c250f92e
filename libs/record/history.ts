import type { ChainEvent, EntryTerms, Outline, OutlinedEvent } from '#domain';

/** Header values by name; a repeated name has an array. */
export type StoredHeaders = Readonly<Record<string, Buffer | readonly Buffer[]>>;

/** Where a message lies. Offsets count from 0 in each partition. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** What history keeps of a message, byte for byte. `appendTime` is the broker's, ms since the epoch. */
export interface RecordedMessage extends Position {
  readonly appendTime: number;
  readonly key: Buffer | null;
  readonly headers: StoredHeaders;
  readonly value: Buffer | null;
}

/** What a message can be found by: the same terms that its entry is hashed with. */
export type SearchTerms = EntryTerms;

/** A message in history with its search terms. */
export interface HistoryEntry extends RecordedMessage, SearchTerms {
  /** Its key was destroyed: `value` is null and `headers` are empty, whatever they were. */
  readonly erased?: true;
}

/** Where a search goes on: after the entry that lay here. Any {@link HistoryEntry} will do. */
export interface HistoryCursor extends Position {
  readonly appendTime: number;
}

/** All conditions must hold. */
export interface HistorySearch {
  /** Appended at or after, ms since the epoch. */
  readonly from?: number | undefined;
  /** Appended before, ms since the epoch. */
  readonly to?: number | undefined;
  readonly agentId?: string | undefined;
  readonly actionType?: string | undefined;
  readonly target?: string | undefined;
  readonly outcome?: string | undefined;
  readonly chainId?: string | undefined;
  readonly traceId?: string | undefined;
  /** CloudEvents id. */
  readonly eventId?: string | undefined;
  /** Decisions in which this rule has found something. No index leads there: give a time or an agent with it. */
  readonly rule?: string | undefined;
  /** The most entries to return. */
  readonly limit: number;
  readonly after?: HistoryCursor | undefined;
}

/** For each topic, the offset after the last message stored of each partition; 0 where nothing is stored. */
export type StoredPositions = ReadonlyMap<string, readonly number[]>;

/** How a partition was read from which messages are appended. */
export interface PartitionReading {
  /** It was read from this offset on. */
  readonly from: number;
  /** Offsets from … to before … that the log does not hold any more, and that may be left out. */
  readonly gone?: { readonly from: number; readonly to: number } | undefined;
}

/** What to read of the history, in append order. All conditions must hold. */
export interface HistoryStream {
  readonly topics: readonly string[];
  /** Appended at or after, ms since the epoch. */
  readonly from?: number | undefined;
  /** Appended before, ms since the epoch. */
  readonly to?: number | undefined;
  readonly agentId?: string | undefined;
  /** Where an earlier reading has stopped: it goes on behind this entry. */
  readonly after?: HistoryCursor | undefined;
}

/** A run of one partition, by offset. */
export interface PartitionRun {
  readonly topic: string;
  readonly partition: number;
  /** From this offset on … */
  readonly from: number;
  /** … and before this one; else to the end. */
  readonly to?: number | undefined;
}

/** Where an entry lies and which intent it says it is about. */
export interface PlaceOfEntry extends HistoryCursor {
  readonly intentId: string | null;
}

/** What the search columns and the derived outline say of an entry. `outline` is `undefined` where there is none. */
export type OutlinedEntry = Omit<OutlinedEvent, 'outline'> & { readonly outline: Outline | undefined };

/** What reconciliation can be told of the audit log without opening an entry. */
export interface Outlines {
  /** Of each partition of these topics, the first entry appended at or after `from`, ms since the epoch. */
  firstSince(topics: readonly string[], from: number): Promise<readonly Position[]>;
  /** In the order of offsets. No page is empty, none has more than {@link PLACES_PER_PAGE}. */
  places(run: PartitionRun): AsyncIterable<readonly PlaceOfEntry[]>;
  /** Hands out, page by page, everything about these intents on the topics that are reconciled. */
  outlinesAbout(intentIds: readonly string[], read: (page: readonly OutlinedEntry[]) => void): Promise<void>;
  /** Outlines of what was appended before, ms since the epoch, are deleted: whoever needs them opens the entries. */
  forgetOutlines(before: number): Promise<void>;
}

/** What the record holds of a chain. */
export interface RecordedChain {
  /**
   * What `foldChain` makes a tree of: the chain's intents, decisions and reports, what is left of them where they were
   * erased, and those of intents elsewhere that they name as causes. What says the same again comes once.
   */
  readonly events: readonly ChainEvent[];
  /** Events beyond the most that are read of a chain: about what is there, there may be more. */
  readonly leftOut: number;
}

/**
 * Reading history in bulk, in constant memory: pages follow each other by key, so nothing is skipped or shown twice
 * while history grows.
 */
export interface HistoryReading {
  /** In the order of append time, then topic (by code point), partition and offset. No page is empty. */
  stream(stream: HistoryStream): AsyncIterable<readonly HistoryEntry[]>;
  /** In the order of offsets. No page is empty. */
  partition(run: PartitionRun): AsyncIterable<readonly HistoryEntry[]>;
  /** What lies at these positions, in any order; positions where nothing is stored are left out. */
  at(positions: readonly Position[]): Promise<readonly HistoryEntry[]>;
  /**
   * Hands out everything that says it is about one of these intents, in append order, page by page: an agent may have
   * used an id any number of times. No page is empty.
   */
  aboutIntents(intentIds: readonly string[], read: (page: readonly HistoryEntry[]) => void): Promise<void>;
}

/**
 * Every message of every topic, once. Two implementations, `PostgresHistory` and `MemoryHistory`, pass one suite.
 * Entries come in the order of append time, then topic (by code point), partition and offset.
 *
 * Errors carry a code: `REMIT_RECORD_UNAVAILABLE` when the database does not answer (try again, nothing is lost),
 * `REMIT_RECORD_REFUSED` when it refuses, `REMIT_RECORD_CUT_OFF` when it takes too long.
 */
export interface History extends HistoryReading, Outlines {
  /**
   * Stores what is not stored yet and returns how many messages that was. Safe to repeat and to race. Of each
   * partition, storing goes on behind the last offset that is stored: what lies before it counts as stored, and
   * offsets that are left out on the way will never be stored.
   *
   * With `reading`, the messages are of one partition, and a hole before them must be known: throws
   * `REMIT_RECORD_BEHIND_READER` (a {@link BehindReader}) where the record has not got as far as reading began.
   */
  append(messages: readonly RecordedMessage[], reading?: PartitionReading): Promise<number>;
  search(search: HistorySearch): Promise<readonly HistoryEntry[]>;
  /** No events: the record holds no such chain. */
  chain(chainId: string): Promise<RecordedChain>;
  count(): Promise<ReadonlyMap<string, number>>;
  positions(): Promise<StoredPositions>;
  /** Resolves when the history can be read and written. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
