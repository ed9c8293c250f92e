import type { EventStore, PublishEvents } from './event-store.js';

const EVENTS_PER_TURN = 200;
const STREAMS_PER_PAGE = 100;

/** What a sweep found. A stream that failed keeps its events and its order; the others are not held up by it. */
export interface Sweep {
  /** How many events were published. */
  readonly published: number;
  /** Streams another replica was publishing. */
  readonly busy: readonly string[];
  readonly failed: readonly { readonly stream: string; readonly error: unknown }[];
}

/**
 * Publishes what the stream has not published yet, in version order; when it resolves, every event appended before the
 * call has been published, by this replica or another. Returns how many events this call published.
 */
export function publishStream<Event>(
  store: EventStore<Event>,
  stream: string,
  publish: PublishEvents<Event>,
): Promise<number> {
  return publishTurns(store, stream, 'wait', publish, () => undefined);
}

/**
 * Publishes what a crash or an outage left behind, stream by stream. Run it at every start and every few seconds, in
 * any number of replicas. Rejects only when the store itself fails.
 */
export async function publishLeftovers<Event>(store: EventStore<Event>, publish: PublishEvents<Event>): Promise<Sweep> {
  let published = 0;
  const busy: string[] = [];
  const failed: { stream: string; error: unknown }[] = [];
  let streams = await store.unpublishedStreams({ limit: STREAMS_PER_PAGE });
  while (streams.length > 0) {
    for (const stream of streams) {
      try {
        published += await publishTurns(store, stream, 'skip', publish, () => busy.push(stream));
      } catch (error) {
        failed.push({ stream, error });
      }
    }
    const last = streams.at(-1);
    streams =
      last === undefined || streams.length < STREAMS_PER_PAGE
        ? []
        : await store.unpublishedStreams({ after: last, limit: STREAMS_PER_PAGE });
  }
  return { published, busy, failed };
}

async function publishTurns<Event>(
  store: EventStore<Event>,
  stream: string,
  whenBusy: 'wait' | 'skip',
  publish: PublishEvents<Event>,
  onBusy: () => void,
): Promise<number> {
  let published = 0;
  for (;;) {
    const turn = await store.publishTurn(stream, { limit: EVENTS_PER_TURN, whenBusy }, publish);
    if (turn.status === 'busy') {
      onBusy();
      return published;
    }
    published += turn.count;
    if (!turn.more) return published;
  }
}
