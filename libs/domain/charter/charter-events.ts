import { z } from 'zod';

/** A charter takes effect: every intent appended after this event is judged by it. */
export const charterActivatedSchema = z.strictObject({
  event: z.literal('CharterActivated'),
  charter: z.string().min(1).max(128).describe('The charter’s name.'),
  digest: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .describe('SHA-256 over the RFC 8785 form of the parsed document.'),
  text: z.string().describe('The YAML source, whole, so that the record alone can judge again.'),
  activatedBy: z.string().min(1).max(256),
  commandId: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('Of the command that ordered it. An activation with an id that was there before changes nothing.'),
});

export const charterEventSchema = z.discriminatedUnion('event', [charterActivatedSchema]);
export type CharterEvent = z.infer<typeof charterEventSchema>;
