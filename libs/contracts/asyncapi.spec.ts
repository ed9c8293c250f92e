import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { Ajv, type SchemaObject } from 'ajv';
import addFormats from 'ajv-formats';
import { asyncApiDocument } from './asyncapi.js';
import { TOPICS } from './topics.js';

const officialSchema = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0.json') as SchemaObject;

/** Every `$ref` in a document. */
function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === '$ref' && typeof inner === 'string' ? [inner] : referencesIn(inner),
  );
}

function resolve(document: unknown, reference: string): unknown {
  return reference
    .replace(/^#\//, '')
    .split('/')
    .reduce((at, name) => (at as Record<string, unknown> | undefined)?.[name], document);
}

describe('the AsyncAPI document', () => {
  const document = asyncApiDocument();
  // The schema brings its own copy of draft 7 along.
  const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false });
  addFormats.default(ajv);
  const validate = ajv.compile(officialSchema);

  it('is valid by the official schema of AsyncAPI 3.0.0', () => {
    validate(document);
    expect(validate.errors).toBeNull();
  });

  it('would be refused with a topic of no partitions', () => {
    const channels = { broken: { address: 'x', bindings: { kafka: { partitions: 0, bindingVersion: '0.5.0' } } } };
    expect(validate({ ...document, channels })).toBe(false);
  });

  it('has no reference that leads nowhere', () => {
    const references = referencesIn(document);
    expect(references.length).toBeGreaterThan(0);
    expect(references.filter((reference) => resolve(document, reference) === undefined)).toEqual([]);
  });

  it('names every topic with its partitions', () => {
    const channels = Object.values(document['channels'] as Record<string, { address: string; bindings: unknown }>);
    expect(channels.map(({ address }) => address)).toEqual(Object.values(TOPICS).map(({ name }) => name));
    expect(channels.map(({ bindings }) => (bindings as { kafka: { partitions: number } }).kafka.partitions)).toEqual(
      Object.values(TOPICS).map(({ partitions }) => partitions),
    );
  });

  it('tells an agent what to send and what to wait for', () => {
    const operations = document['operations'] as Record<string, { tags: { name: string }[] }>;
    const agents = Object.keys(operations).filter((id) => operations[id]?.tags[0]?.name === 'agent');
    expect(agents).toEqual(
      expect.arrayContaining([
        'agent-send-agent-actions',
        'agent-receive-agent-decisions',
        'agent-send-agent-outcomes',
      ]),
    );
  });
});
