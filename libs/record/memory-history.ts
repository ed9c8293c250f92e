import type { ChainEvent } from '#domain';
import { readChain } from './chain-events.js';
import type { History, HistoryEntry, HistorySearch, RecordedMessage, StoredPositions } from './history.js';
import { byAppendTime, byPosition, storedPositions } from './history-order.js';
import { searchTerm, searchTermsOf } from './search-terms.js';
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

  append(messages: readonly RecordedMessage[]): Promise<number> {
    const before = this.#entries.size;
    for (const message of messages) {
      const position = `${message.topic}\n${message.partition}\n${message.offset}`;
      if (!this.#entries.has(position)) this.#entries.set(position, entryOf(message));
    }
    return Promise.resolve(this.#entries.size - before);
  }

  search(search: HistorySearch): Promise<readonly HistoryEntry[]> {
    const { from = -Infinity, to = Infinity, after, limit } = search;
    const terms = (['agentId', 'actionType', 'target', 'outcome', 'chainId', 'traceId'] as const).flatMap((term) => {
      const wanted = search[term];
      return wanted === undefined ? [] : [[term, searchTerm(wanted)] as const];
    });
    const found = this.#select(
      (entry) =>
        entry.appendTime >= from &&
        entry.appendTime < to &&
        terms.every(([term, wanted]) => entry[term] === wanted) &&
        (after === undefined || byAppendTime(entry, after) > 0),
    );
    return Promise.resolve(found.slice(0, limit));
  }

  chain(chainId: string): Promise<readonly ChainEvent[]> {
    return readChain(chainId, {
      inChain: (id) => {
        const wanted = searchTerm(id);
        return Promise.resolve(this.#select((entry) => entry.chainId === wanted));
      },
      aboutIntents: (ids) => {
        const wanted = new Set(ids.map(searchTerm));
        return Promise.resolve(this.#select((entry) => entry.intentId !== null && wanted.has(entry.intentId)));
      },
    });
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

  #select(wanted: (entry: HistoryEntry) => boolean): readonly HistoryEntry[] {
    return [...this.#entries.values()].filter(wanted).sort(byAppendTime);
  }
}
