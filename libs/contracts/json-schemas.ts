import { z } from 'zod';
import { type EventDeclaration, EVENTS } from './events.js';

/** A JSON Schema document, as data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** `io.remit.judged-intent.v1` → `judged-intent.v1`: how an event is called in file names and references. */
export function shortNameOf(declaration: EventDeclaration): string {
  return declaration.type.replace(/^io\.remit\./, '');
}

function schemaOf(declaration: EventDeclaration, target: 'draft-2020-12' | 'draft-7'): JsonSchema {
  // `parameters` is checked by code, for its depth; what its schema says beyond that is in its metadata.
  return z.toJSONSchema(declaration.data, { target, io: 'input', unrepresentable: 'any' });
}

/** The data of every event as JSON Schema 2020-12, by short name. */
export function jsonSchemas(): ReadonlyMap<string, JsonSchema> {
  return new Map(
    Object.values(EVENTS).map((declaration) => {
      const { $schema, ...schema } = schemaOf(declaration, 'draft-2020-12');
      const about = { $id: `urn:remit:event:${declaration.type}`, title: declaration.type };
      return [shortNameOf(declaration), { $schema, ...about, description: declaration.summary, ...schema }];
    }),
  );
}

/** The data of an event in the dialect that AsyncAPI 3.0 embeds, a superset of draft 7. */
export function embeddedSchemaOf(declaration: EventDeclaration): JsonSchema {
  const { $schema: _, ...schema } = schemaOf(declaration, 'draft-7');
  return { title: declaration.type, description: declaration.summary, ...schema };
}
