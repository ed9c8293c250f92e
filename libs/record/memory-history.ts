import { TOPICS } from '#contracts';
import { byAppendTime, byPosition, placeKey, type Outline } from '#domain';
import { readChain } from './chain-events.js';
import type {
  History,
  HistoryEntry,
  HistorySearch,
  HistoryStream,
  OutlinedEntry,
  PartitionReading,
  PartitionRun,
  PlaceOfEntry,
  Position,
  RecordedChain,
  RecordedMessage,
  StoredPositions,
} from './history.js';
import { storedPositions } from './history-order.js';
import { ENTRIES_PER_PAGE, pages, PLACES_PER_PAGE } from './history-reading.js';
import { outlineOfMessage } from './outlines.js';
import { RECONCILED_TOPICS } from './reconciled-topics.js';
import { requireNoHole } from './record-error.js';
import { findingOf, searchTerm, searchTermsOf } from './search-terms.js';
import { headersFromText, headersToText } from './stored-headers.js';

/** A copy, so that nobody who still holds the message can change history. */
function entryOf(message: RecordedMessage): HistoryEntry {
  return {
    topic: message.topic,
    partition: message.partition,
    offset: message.offset,
    appendTime: message.appendTime,
    key: message.key && Buffer.from(message.key),
    headers: headersFromText(headersToText(message.headers)),
    value: message.value && Buffer.from(message.value),
    ...searchTermsOf(message),
  };
}

/** History in this process, gone when it ends: the twin of `PostgresHistory`. */
export class MemoryHistory implements History {
  readonly #entries = new Map<string, HistoryEntry>();
  readonly #next = new Map<string, number>();
  readonly #outlines = new Map<string, Outline>();

  append(messages: readonly RecordedMessage[], reading?: PartitionReading): Promise<number> {
    return Promise.resolve().then(() => this.#append(messages, reading));
  }

  #append(messages: readonly RecordedMessage[], reading: PartitionReading | undefined): number {
    const before = this.#entries.size;
    const [first] = messages;
    if (first !== undefined) requireNoHole(first, this.#next.get(`${first.topic}\n${first.partition}`) ?? 0, reading);
    for (const message of [...messages].sort(byPosition)) {
      const partition = `${message.topic}\n${message.partition}`;
      if (message.offset < (this.#next.get(partition) ?? 0)) continue;
      this.#next.set(partition, message.offset + 1);
      const entry = entryOf(message);
      this.#entries.set(placeKey(message), entry);
      const outline = outlineOfMessage(message, entry);
      if (outline !== undefined) this.#outlines.set(placeKey(message), outline);
    }
    return this.#entries.size - before;
  }

  search(search: HistorySearch): Promise<readonly HistoryEntry[]> {
    const { from = -Infinity, to = Infinity, after, limit, rule } = search;
    const terms = (['agentId', 'actionType', 'target', 'outcome', 'chainId', 'traceId', 'eventId'] as const).flatMap(
      (term) => {
        const wanted = search[term];
        return wanted === undefined ? [] : [[term, searchTerm(wanted)] as const];
      },
    );
    const found = this.#select(
      (entry) =>
        entry.appendTime >= from &&
        entry.appendTime < to &&
        terms.every(([term, wanted]) => entry[term] === wanted) &&
        (rule === undefined ||
          (entry.topic === TOPICS.agentDecisions.name && entry.value?.includes(findingOf(rule)) === true)) &&
        (after === undefined || byAppendTime(entry, after) > 0),
    );
    return Promise.resolve(found.slice(0, limit));
  }

  chain(chainId: string): Promise<RecordedChain> {
    return readChain(chainId, {
      inChain: (wanted, read) => this.#readPages((entry) => entry.chainId === wanted, read),
      aboutIntents: (ids, read) => this.aboutIntents(ids, read),
    });
  }

  stream({ topics, from = -Infinity, to = Infinity, agentId, after }: HistoryStream) {
    const wanted = agentId === undefined ? undefined : searchTerm(agentId);
    return pages<HistoryEntry>((last) => {
      const cursor = last ?? after;
      const found = this.#select(
        (entry) =>
          topics.includes(entry.topic) &&
          entry.appendTime >= from &&
          entry.appendTime < to &&
          (wanted === undefined || entry.agentId === wanted) &&
          (cursor === undefined || byAppendTime(entry, cursor) > 0),
      );
      return Promise.resolve(found.slice(0, ENTRIES_PER_PAGE));
    });
  }

  partition({ topic, partition, from, to = Infinity }: PartitionRun) {
    return pages<HistoryEntry>((last) => {
      const next = last === undefined ? from : last.offset + 1;
      const found = this.#select(
        (entry) => entry.topic === topic && entry.partition === partition && entry.offset >= next && entry.offset < to,
      );
      return Promise.resolve([...found].sort(byPosition).slice(0, ENTRIES_PER_PAGE));
    });
  }

  at(positions: readonly Position[]): Promise<readonly HistoryEntry[]> {
    const places = new Set(positions.map(placeKey));
    return Promise.resolve([...places].flatMap((place) => this.#entries.get(place) ?? []));
  }

  aboutIntents(intentIds: readonly string[], read: (page: readonly HistoryEntry[]) => void): Promise<void> {
    const wanted = new Set(intentIds.map(searchTerm));
    return this.#readPages((entry) => entry.intentId !== null && wanted.has(entry.intentId), read);
  }

  firstSince(topics: readonly string[], from: number): Promise<readonly Position[]> {
    const first = new Map<string, Position>();
    for (const entry of this.#select(({ topic, appendTime }) => topics.includes(topic) && appendTime >= from)) {
      const { topic, partition, offset } = entry;
      const known = first.get(`${topic}\n${String(partition)}`);
      if (known === undefined || offset < known.offset) {
        first.set(`${topic}\n${String(partition)}`, { topic, partition, offset });
      }
    }
    return Promise.resolve([...first.values()]);
  }

  places({ topic, partition, from, to = Infinity }: PartitionRun): AsyncIterable<readonly PlaceOfEntry[]> {
    return pages<PlaceOfEntry>((last) => {
      const next = last === undefined ? from : last.offset + 1;
      const found = this.#select(
        (entry) => entry.topic === topic && entry.partition === partition && entry.offset >= next && entry.offset < to,
      );
      return Promise.resolve([...found].sort(byPosition).slice(0, PLACES_PER_PAGE));
    }, PLACES_PER_PAGE);
  }

  outlinesAbout(intentIds: readonly string[], read: (page: readonly OutlinedEntry[]) => void): Promise<void> {
    const wanted = new Set(intentIds.map(searchTerm));
    const topics: readonly string[] = RECONCILED_TOPICS;
    const found = this.#select(
      ({ topic, intentId }) => intentId !== null && wanted.has(intentId) && topics.includes(topic),
    );
    if (found.length > 0) read(found.map((entry) => ({ ...entry, outline: this.#outlines.get(placeKey(entry)) })));
    return Promise.resolve();
  }

  forgetOutlines(before: number): Promise<void> {
    for (const [place, { appendTime }] of this.#entries) if (appendTime < before) this.#outlines.delete(place);
    return Promise.resolve();
  }

  count(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    for (const { topic } of [...this.#entries.values()].sort(byPosition))
      counts.set(topic, (counts.get(topic) ?? 0) + 1);
    return Promise.resolve(counts);
  }

  positions(): Promise<StoredPositions> {
    return Promise.resolve(
      storedPositions(
        [...this.#entries.values()].map(({ topic, partition, offset }) => ({ topic, partition, next: offset + 1 })),
      ),
    );
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #readPages(wanted: (entry: HistoryEntry) => boolean, read: (page: readonly HistoryEntry[]) => void): Promise<void> {
    const found = this.#select(wanted);
    for (let from = 0; from < found.length; from += ENTRIES_PER_PAGE) read(found.slice(from, from + ENTRIES_PER_PAGE));
    return Promise.resolve();
  }

  #select(wanted: (entry: HistoryEntry) => boolean): readonly HistoryEntry[] {
    return [...this.#entries.values()].filter(wanted).sort(byAppendTime);
  }
}
