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

export function textOfEvent<Event>(schema: EventSchema<Event>, stream: string, event: Event): string {
  const checked = schema.safeParse(event);
  if (checked.success) return JSON.stringify(checked.data);
  throw new EventStoreError(
    'REMIT_EVENT_STORE_INVALID_EVENT',
    `an event for stream ${stream} does not fit its schema, nothing is stored: ${z.prettifyError(checked.error)}`,
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
