import { z } from 'zod';

const base64 = z.base64();

/** A message nobody could read: its bytes whole, where it lay, and why it was put aside. */
export const deadLetterSchema = z.strictObject({
  code: z.string().regex(/^REMIT_[A-Z_]+$/),
  reason: z.string(),
  service: z.string().describe('Who could not read it.'),
  topic: z.string(),
  partition: z.int().min(0),
  offset: z.int().min(0),
  appendTime: z.iso.datetime({ precision: 3 }),
  key: base64.nullable(),
  value: base64.nullable(),
  headers: z.array(z.tuple([z.string(), base64])).describe('In order; a name may come more than once.'),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;
