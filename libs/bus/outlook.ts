import { codeOf } from './errors.js';

/**
 * What is to be expected when the same work is tried again.
 * `later`: it may succeed, because something around it was away or not ready, or because a person has yet to mend it.
 * `never`: the message itself is why it fails. `unknown`: the error does not say.
 */
export type Outlook = 'later' | 'never' | 'unknown';

/** Every error that may reach the bus from a handler, by its code: this table alone tells waiting from giving up. */
export const OUTLOOKS: Readonly<Record<string, Outlook>> = {
  REMIT_BUS_TOPIC_DIFFERS: 'later',
  REMIT_BUS_TOPIC_MISSING: 'later',
  REMIT_BUS_NOT_APPEND_TIME: 'later',
  REMIT_BUS_MESSAGE_TOO_LARGE: 'never',
  REMIT_BUS_PUBLISH_FAILED: 'later',
  REMIT_BUS_PARTITION_LOST: 'later',
  REMIT_BUS_UNREACHABLE: 'later',
  REMIT_BUS_NOT_ALLOWED: 'later',
  REMIT_BUS_NOT_AUTHENTICATED: 'later',
  REMIT_BUS_NO_TOKEN: 'later',
  REMIT_BUS_CREDENTIALS_UNREADABLE: 'later',
  REMIT_BUS_STANDSTILL: 'later',
  REMIT_BUS_TOO_FEW_BROKERS: 'later',
  // until a person has acknowledged a discrepancy, or the partition is read again from where the database is
  REMIT_BUS_HELD: 'later',
  REMIT_RECORD_BEHIND_READER: 'later',
  REMIT_EVENT_STORE_BEHIND_LOG: 'later',
  REMIT_BUS_HANDLER_FAILED: 'unknown',
  REMIT_BUS_HANDLER_TWICE: 'later',
  REMIT_BUS_CLIENT: 'later',
  REMIT_BUS_CLOSED: 'later',
  REMIT_SEGMENT_LAYERS: 'never',
  REMIT_SEGMENT_VIEWS_BEHIND: 'later',
  REMIT_AUTHORITY_VIEWS_BEHIND: 'later',
  REMIT_EVENT_STORE_UNAVAILABLE: 'later',
  REMIT_EVENT_STORE_REFUSED: 'later',
  REMIT_EVENT_STORE_INVALID_EVENT: 'never',
  // most likely the message's own, and after an upgrade of the database perhaps everybody's
  REMIT_EVENT_STORE_NOT_STORABLE: 'unknown',
  // a newer version wrote it, or somebody edited it: every command about this agent would be lost
  REMIT_EVENT_STORE_UNREADABLE: 'later',
  REMIT_EVENT_STORE_CONTENDED: 'later',
  // most likely this message met it, and after an upgrade perhaps every message does
  REMIT_EVENT_STORE_FAULT: 'unknown',
  // until a person has mended a file or the server
  REMIT_DATABASE_CREDENTIALS_UNREADABLE: 'later',
  REMIT_DATABASE_NOT_TRUSTED: 'later',
  REMIT_DATABASE_NO_TLS: 'later',
  REMIT_RECORD_UNAVAILABLE: 'later',
  REMIT_RECORD_REFUSED: 'later',
  REMIT_RECORD_NOT_STORABLE: 'unknown',
  REMIT_RECORD_FAULT: 'unknown',
  REMIT_RECORD_CUT_OFF: 'later',
  REMIT_RECORD_BUSY: 'later',
  REMIT_RECORD_ALTERED: 'later',
  REMIT_RECORD_OTHER_KEY: 'later',
  REMIT_RECORD_KEY_EXPOSED: 'later',
  REMIT_RECORD_KEY_UNREADABLE: 'later',
  REMIT_RECORD_NO_SIGNING_KEY: 'later',
  REMIT_RECORD_CHECKPOINT_NOT_KEPT: 'later',
  REMIT_RECORD_NOT_DROPPABLE: 'later',
  REMIT_RECORD_EXPORT_UNREADABLE: 'later',
};

/** Of the operating system, such as ECONNREFUSED or ENOSPC: nothing that a message could bring about. */
const OF_THE_SYSTEM = /^E(?!RR_)[A-Z][A-Z0-9_]+$/;

/** What to expect when whatever failed like this is tried again. */
export function outlookOf(error: unknown): Outlook {
  const code = codeOf(error);
  if (code === undefined) return 'unknown';
  const outlook = Object.hasOwn(OUTLOOKS, code) ? OUTLOOKS[code] : undefined;
  return outlook ?? (OF_THE_SYSTEM.test(code) ? 'later' : 'unknown');
}
