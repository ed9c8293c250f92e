import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { openApiDocument } from '#contracts';
import { CHARTER_TEXT, GOVERNANCE, startDoorWorld, type DoorAnswer, type DoorWorld } from './door-world.js';

type Schema = Readonly<Record<string, unknown>>;

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Schema;
}

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema: Schema }>> }>
  >;
}

const document = openApiDocument() as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** What a client that has read the document may send. */
function fitting(schema: Schema): fc.Arbitrary<unknown> {
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  if ('const' in schema) return fc.constant(schema['const']);
  const variants = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined;
  if (variants !== undefined) return fc.oneof(...variants.map(fitting));
  switch (schema['type']) {
    case 'string': {
      if (schema['format'] === 'date-time') {
        return fc
          .date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) })
          .map((date) => date.toISOString());
      }
      const least = (schema['minLength'] as number | undefined) ?? 0;
      const pattern = schema['pattern'] as string | undefined;
      return pattern === undefined
        ? fc.string({ minLength: least, maxLength: least + 20, unit: 'binary' })
        : fc.stringMatching(new RegExp(pattern)).map((text) => text.slice(0, 200));
    }
    case 'integer':
    case 'number':
      return fc.integer({
        min: Math.max(-1000, (schema['minimum'] as number | undefined) ?? -1000),
        max: Math.min(1_000_000, (schema['maximum'] as number | undefined) ?? 1_000_000),
      });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(fitting((schema['items'] as Schema | undefined) ?? {}), { minLength: 1, maxLength: 3 });
    case 'object':
      return objectFitting(schema);
    default:
      return fc.jsonValue();
  }
}

function objectFitting(schema: Schema): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  const required = (schema['required'] as string[] | undefined) ?? [];
  const shape = Object.fromEntries(properties.map(([name, property]) => [name, fitting(property)]));
  if (properties.length > 0) return fc.record(shape, { requiredKeys: required });
  return fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 });
}

/** Sometimes as the document says, sometimes anything at all. */
function sent(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 4, arbitrary: fitting(schema) }, { weight: 1, arbitrary: fc.jsonValue() });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Agents and requests that are there, so that not every request stops at a name nobody knows. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  agent: ['clerk', 'cleaner'],
  request: ['asked-1'],
  grant: ['lent-1'],
};

/** Addresses take these for steps, not for names: no client can send them as a part of a path. */
const STEPS = ['.', '..'];

function valueOf({ name, in: place, schema }: Parameter): fc.Arbitrary<string> {
  const known = KNOWN[name];
  const any = sent(schema)
    .map(textOf)
    .filter((text) => text !== '' && !(place === 'path' && STEPS.includes(text)));
  return known === undefined ? any : fc.oneof(fc.constantFrom(...known), any);
}

describe('the door, whatever is sent to it', () => {
  let world: DoorWorld;
  let token: string;
  const ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true }));
  ajv.addSchema(document, 'door');
  const validators = new Map<string, ValidateFunction>();

  beforeAll(async () => {
    world = await startDoorWorld();
    await world.call(GOVERNANCE, 'activateCharter', { body: { text: CHARTER_TEXT } });
    token = await world.token('fuzz', ['security', 'operations', 'governance']);
    const clerk = { params: { agent: 'clerk' } };
    const asked = { permissions: ['production_change'], durationMs: 60_000, reason: 'a target' };
    await world.call({ name: 'ned' }, 'request', { ...clerk, body: asked, id: 'asked-1' });
    const lent = { permission: 'admin_access', durationMs: 60_000, reason: 'a target' };
    await world.call({ name: 'sam', roles: ['security'] }, 'grant', { ...clerk, body: lent, id: 'lent-1' });
  });

  afterAll(() => world.close());

  function problemsOf(path: string, method: string, answer: DoorAnswer): string[] {
    if (answer.code === 'REMIT_DOOR_NO_SUCH_PATH') return ['the document names a path that the door does not have'];
    if (answer.status >= 500) return [`status ${String(answer.status)}: ${answer.text}`];
    const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
    const pointer = ['paths', path, method, 'responses', String(answer.status), 'content', type, 'schema']
      .map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))
      .map(encodeURIComponent)
      .join('/');
    const reference = `door#/${pointer}`;
    try {
      const validate = validators.get(reference) ?? ajv.compile({ $ref: reference });
      validators.set(reference, validate);
      return validate(answer.body) ? [] : [`${String(answer.status)}: ${ajv.errorsText(validate.errors)}`];
    } catch {
      return [`the document does not say that it answers ${String(answer.status)} with ${type}: ${answer.text}`];
    }
  }

  it.each(operations)(
    '$method $path answers as its document says, never with a fault of its own',
    async ({ path, method, operation }) => {
      const parameters = operation.parameters.filter(({ in: place }) => place !== 'header');
      const bodySchema = operation.requestBody?.content['application/json']?.schema;
      await fc.assert(
        fc.asyncProperty(
          fc.tuple(
            ...parameters.map((one) => (one.required ? valueOf(one) : fc.option(valueOf(one), { nil: undefined }))),
          ),
          bodySchema === undefined ? fc.constant(undefined) : sent(bodySchema),
          async (values, body) => {
            const search = new URLSearchParams();
            let filled = path;
            parameters.forEach((one, index) => {
              const value = values[index];
              if (value === undefined) return;
              if (one.in === 'path')
                filled = filled.replace(`{${one.name}}`, () => encodeURIComponent(value.toWellFormed()));
              else search.set(one.name, value);
            });
            const answer = await world.send(`${filled}?${search.toString()}`, {
              method: method.toUpperCase(),
              headers: {
                authorization: `Bearer ${token}`,
                ...(body === undefined ? {} : { 'content-type': 'application/json' }),
              },
              ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            });
            expect(problemsOf(path, method, answer)).toEqual([]);
          },
        ),
        { numRuns: 40, examples: [] },
      );
    },
  );

  it.each([
    ['%', '%'],
    ['%ZZ', '%ZZ'],
    ['a null byte', '%00'],
    ['a way up', '%2e%2e%2f'],
    ['half a character', '%F0%9F'],
    ['a name of 5000 characters', 'x'.repeat(5000)],
    ['a placeholder', ':agent'],
  ])('a path with %s ends in a coded problem', async (_, part) => {
    const answer = await world.send(`/v1/agents/${part}/grants`, { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBeLessThan(500);
    expect(answer.body).toMatchObject({ code: expect.stringMatching(/^REMIT_/) });
  });
});
