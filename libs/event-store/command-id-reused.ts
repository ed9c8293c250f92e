import type { AppendResult } from './event-store.js';

type CommandIdReused = Extract<AppendResult<never>, { status: 'refused' }>;

export function commandIdReused(stream: string, commandId: string): CommandIdReused {
  return {
    status: 'refused',
    code: 'REMIT_EVENT_STORE_COMMAND_ID_REUSED',
    reason: `stream ${stream} has seen command ${commandId} with other content; send new content under a new id`,
  };
}
