import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { type EventDeclaration, EVENTS } from './events.js';
import { jsonSchemas, shortNameOf } from './json-schemas.js';

type Data = Record<string, unknown>;

interface DataCase {
  case: string;
  event: string;
  accepted: boolean;
  data?: Data;
  like?: string;
  with?: Record<string, unknown>;
}

const cases = parse(readFileSync(new URL('../../test/cases/events/data.yaml', import.meta.url), 'utf8')) as DataCase[];

const declarations = new Map<string, EventDeclaration>(
  Object.values(EVENTS).map((declaration) => [shortNameOf(declaration), declaration]),
);
const schemas = jsonSchemas();
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
addFormats.default(ajv);
// base64 is checked by the pattern beside it
ajv.addFormat('base64', true);

function dataOf(given: DataCase): Data {
  if (given.data !== undefined) return structuredClone(given.data);
  const model = cases.find((other) => other.case === given.like);
  if (model === undefined) throw new Error(`no case is called ${given.like}`);
  const data = dataOf(model);
  for (const [path, value] of Object.entries(given.with ?? {})) {
    const names = path.split('.');
    const last = names.pop() ?? '';
    const holder = names.reduce((at, name) => at[name] as Data, data);
    if (value === '~remove~') delete holder[last];
    else holder[last] = value;
  }
  return data;
}

describe('the published JSON Schemas say what the readers say', () => {
  it.each(cases.map((given) => [given.case, given] as const))('%s', (_, given) => {
    const data = dataOf(given);
    const byReader = declarations.get(given.event)?.data.safeParse(data).success;
    const bySchema = ajv.validate(schemas.get(given.event) ?? false, data);
    expect({ byReader, bySchema }).toEqual({ byReader: given.accepted, bySchema: given.accepted });
  });

  it.each([...declarations.keys()])('%s has a case that is accepted and one that is not', (event) => {
    const verdicts = cases.filter((given) => given.event === event).map((given) => given.accepted);
    expect(new Set(verdicts)).toEqual(new Set([true, false]));
  });

  it.each(cases.filter((given) => given.accepted).map((given) => [given.case, given] as const))(
    'reading adds nothing and loses nothing: %s',
    (_, given) => {
      const data = dataOf(given);
      expect(declarations.get(given.event)?.data.parse(data)).toEqual(data);
    },
  );
});
