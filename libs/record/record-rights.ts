import { DATABASE_ROLES } from '#contracts';
import type { RoleRights, TablePrivilege } from '#postgres';
import { RECORD_TABLES } from './history-table.js';

/** The roles of the audit log's database, by what they are for. */
export const RECORD_ROLES = {
  writer: DATABASE_ROLES.writer,
  projector: DATABASE_ROLES.projector,
  keeper: DATABASE_ROLES.keeper,
  reader: DATABASE_ROLES.reader,
} as const;
export type RecordRole = keyof typeof RECORD_ROLES;

/** Whoever works with the audit log reads it: proofs need all of it, and what is personal in it is sealed. */
function reading(more: Readonly<Record<string, readonly TablePrivilege[]>> = {}): RoleRights['tables'] {
  return Object.fromEntries(RECORD_TABLES.map((table) => [table, ['SELECT', ...(more[table] ?? [])] as const]));
}

/** What each role may do to the audit log: granted, checked (`remit audit check-roles`) and printed from here. */
export const RECORD_RIGHTS: Readonly<Record<RecordRole, RoleRights>> = {
  writer: {
    role: RECORD_ROLES.writer,
    tables: reading({
      history: ['INSERT'],
      intent_key: ['INSERT'],
      key_person: ['INSERT'],
      identity: ['INSERT'],
      checkpoint: ['INSERT'],
      epoch_leaves: ['INSERT'],
      published_checkpoint: ['INSERT'],
      chain_head: ['INSERT', 'UPDATE'],
      watch_state: ['INSERT', 'UPDATE'],
      outline: ['INSERT', 'DELETE'],
    }),
    functions: ['ensure_month(timestamptz)'],
  },
  projector: {
    role: RECORD_ROLES.projector,
    tables: reading({
      agent_day: ['INSERT', 'UPDATE', 'DELETE'],
      projection_position: ['INSERT', 'UPDATE', 'DELETE'],
    }),
  },
  keeper: {
    role: RECORD_ROLES.keeper,
    tables: reading({ key_person: ['DELETE'], retention: ['INSERT', 'UPDATE'] }),
    updates: { intent_key: ['wrapped', 'destroyed_at'] },
    functions: ['ensure_month(timestamptz)', 'drop_month(date)'],
    maintains: ['intent_key'],
  },
  reader: { role: RECORD_ROLES.reader, tables: reading() },
};
