import { z } from 'zod';
import { decisionCasesSchema } from '#cases';
import type { JsonSchema } from '#contracts';
import { charterDocumentSchema } from '#domain';
import { storySchema } from '#stories';

const AUTHORED = {
  charter: {
    title: 'Remit charter',
    description:
      'The one governing document. `remit charter check` also checks what a schema cannot: names, expressions.',
    schema: charterDocumentSchema,
  },
  cases: {
    title: 'Remit decision cases',
    description: 'Intents and the decisions expected for them, judged by `remit charter test`.',
    schema: decisionCasesSchema.extend({
      charter: z
        .union([z.string(), charterDocumentSchema])
        .describe('A file, as a path from this one, or the charter itself.'),
    }),
  },
  scenario: {
    title: 'Remit scenario',
    description:
      'What agents and people do one after the other, and what must be decided; played by the demo and by tests.',
    schema: storySchema,
  },
} as const;

/**
 * The files that people write, as JSON Schema, by name. Draft 7, because editors read no later one everywhere. A schema refuses
 * nothing that Remit's own reader takes; the reader refuses more.
 */
export function authoredSchemas(): ReadonlyMap<string, JsonSchema> {
  return new Map(
    Object.entries(AUTHORED).map(([name, { title, description, schema }]) => {
      const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input', unrepresentable: 'any' });
      return [name, { $schema, $id: `urn:remit:${name}`, title, description, ...rest }];
    }),
  );
}
