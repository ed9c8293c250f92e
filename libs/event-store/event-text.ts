import { z } from 'zod';
import type { EventSchema, StoredEvent } from './event-store.js';
import { EventStoreError } from './event-store-error.js';

/** What is kept of an event. JSON as text: PostgreSQL's jsonb refuses characters that JSON allows. */
export interface EventRow {
  readonly stream: string;
  readonly version: number;
  readonly commandId: string;
  readonly text: string;
}

/** Largest event, bytes of JSON: whatever is stored fits into a message, so that no event stops the stream it is in. */
export const MAX_EVENT_BYTES = 512 * 1024;

export function textOfEvent<Event>(schema: EventSchema<Event>, stream: string, event: Event): string {
  const checked = schema.safeParse(event);
  if (!checked.success) {
    throw new EventStoreError(
      'REMIT_EVENT_STORE_INVALID_EVENT',
      `an event for stream ${stream} does not fit its schema, nothing is stored: ${z.prettifyError(checked.error)}`,
    );
  }
  const text = JSON.stringify(checked.data);
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_EVENT_BYTES) return text;
  throw new EventStoreError(
    'REMIT_EVENT_STORE_INVALID_EVENT',
    `an event for stream ${stream} takes ${bytes} bytes and may take ${MAX_EVENT_BYTES}, nothing is stored: order less at once`,
  );
}

export function eventOfRow<Event>(schema: EventSchema<Event>, row: EventRow): StoredEvent<Event> {
  const { stream, version, commandId, text } = row;
  const checked = schema.safeParse(JSON.parse(text));
  if (checked.success) return { stream, version, commandId, event: checked.data };
  throw new EventStoreError(
    'REMIT_EVENT_STORE_UNREADABLE',
    `event ${version} of stream ${stream} does not fit the schema of this version; a newer version wrote it, or ` +
      `someone edited it: ${z.prettifyError(checked.error)}`,
  );
}
