import type { Attributes } from '@opentelemetry/api';
import { ATTRIBUTES as NAMES } from './span-table.js';

/** What a process does with messages, by OpenTelemetry's messaging conventions. */
export type MessagingOperation = 'send' | 'process' | 'poll';

const OPERATION_TYPE: Record<MessagingOperation, string> = { send: 'send', process: 'process', poll: 'receive' };

/** What every span about messages says of them. */
export function messageAttributes(
  operation: MessagingOperation,
  { topic, partition, offset }: { readonly topic: string; readonly partition?: number; readonly offset?: number },
): Attributes {
  return {
    [NAMES.system.name]: 'kafka',
    [NAMES.operation.name]: operation,
    [NAMES.operationType.name]: OPERATION_TYPE[operation],
    [NAMES.destination.name]: topic,
    ...(partition === undefined ? {} : { [NAMES.partition.name]: String(partition) }),
    ...(offset === undefined ? {} : { [NAMES.offset.name]: offset }),
  };
}
