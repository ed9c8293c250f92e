import { DATABASE_ROLES } from '#contracts';
import type { RoleRights } from '#postgres';

/** What each role may do to the event store. Who decides authority changes no event; only its place on the log is noted. */
export const EVENT_STORE_RIGHTS: readonly RoleRights[] = [
  {
    role: DATABASE_ROLES.events,
    tables: {
      stream: ['SELECT', 'INSERT', 'UPDATE'],
      command: ['SELECT', 'INSERT'],
      event: ['SELECT', 'INSERT'],
      snapshot: ['SELECT', 'INSERT', 'UPDATE'],
      log_position: ['SELECT'],
      migration: ['SELECT'],
    },
    updates: { event: ['published_at', 'log_offset'] },
  },
  {
    role: DATABASE_ROLES.restorer,
    tables: {
      stream: ['SELECT', 'INSERT', 'UPDATE'],
      command: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
      event: ['SELECT', 'INSERT', 'DELETE'],
      snapshot: ['SELECT', 'DELETE'],
      log_position: ['SELECT', 'INSERT', 'UPDATE'],
      set_aside: ['SELECT', 'INSERT'],
      migration: ['SELECT'],
    },
    updates: { event: ['published_at', 'log_offset'] },
  },
];
