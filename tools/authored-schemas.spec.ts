import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { sha256 } from '#contracts';
import { checkCharter } from '#domain';

const SCHEMAS = join('docs', 'reference', 'schemas');

/** Which schema a file names in its first line: by the folder and the end of its name. */
const FILES = [
  { folder: 'charters', end: '.cases.yaml', schema: 'cases' },
  { folder: 'charters', end: '.yaml', schema: 'charter' },
  { folder: 'test/bench', end: 'charter.yaml', schema: 'charter' },
  { folder: 'test/cases', end: '.cases.yaml', schema: 'cases' },
  { folder: 'test/stories', end: '.yaml', schema: 'scenario' },
] as const;

/** Data of one spec each, which that spec reads with a schema of its own. */
const OF_ONE_SPEC = [
  'test/cases/cause-proofs',
  'test/cases/chains',
  'test/cases/events',
  'test/cases/hygiene',
  'test/cases/log-discrepancies',
  'test/cases/permission',
  'test/cases/pii',
  'test/cases/policies',
  'test/cases/reconciliation',
  'test/cases/refused-charters.charter-problems.yaml',
  'test/histories',
];

const ajv = new Ajv({ strict: true, allowUnionTypes: true, strictRequired: false, strictTypes: false });
addFormats.default(ajv);
const compiled = new Map<string, ValidateFunction>();

function schemaAt(path: string): ValidateFunction {
  const known = compiled.get(path);
  if (known !== undefined) return known;
  const validate = ajv.compile(JSON.parse(readFileSync(path, 'utf8')) as object);
  compiled.set(path, validate);
  return validate;
}

const schema = (name: string): ValidateFunction => schemaAt(join(SCHEMAS, `${name}.schema.json`));

function problemsOf(validate: ValidateFunction, document: unknown): string[] {
  return validate(document)
    ? []
    : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? ''}`);
}

const yamlFiles = ['charters', 'test'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => join(folder, name))
    .sort(),
);

function schemaNameOf(file: string): string | undefined {
  return FILES.find(({ folder, end }) => dirname(file) === folder && file.endsWith(end))?.schema;
}

describe('files that people write', () => {
  it.each(yamlFiles.filter((file) => !OF_ONE_SPEC.some((path) => file.startsWith(path))))(
    '%s names its schema in the first line and is as it says',
    (file) => {
      const text = readFileSync(file, 'utf8');
      const path = join(SCHEMAS, `${schemaNameOf(file)}.schema.json`);
      expect(text.split('\n', 1)).toEqual([`# yaml-language-server: $schema=${relative(dirname(file), path)}`]);
      expect(problemsOf(schemaAt(path), parse(text))).toEqual([]);
    },
  );

  it.each([
    ['charter', 'a field that is spelled wrong', 'charters/fintech-production.yaml', 'boundaries:', 'boundries:'],
    ['charter', 'a field deep inside that is spelled wrong', 'charters/starter.yaml', 'violated_when:', 'violated_if:'],
    ['charter', 'a stage that does not exist', 'charters/fintech-production.yaml', 'stage: enforce', 'stage: enforced'],
    [
      'charter',
      'a duration without its unit',
      'charters/fintech-production.yaml',
      /max_duration: \w+/,
      "max_duration: '15'",
    ],
    ['cases', 'an expectation that is spelled wrong', 'charters/starter.cases.yaml', 'outcome:', 'outcom:'],
    ['cases', 'an outcome that does not exist', 'charters/starter.cases.yaml', 'outcome: allow', 'outcome: allowed'],
    ['cases', 'a typo in a charter written inside', 'test/cases/claims.cases.yaml', 'systems:', 'system:'],
    ['scenario', 'a step that is spelled wrong', 'test/stories/limits.story.yaml', 'action:', 'acton:'],
    [
      'scenario',
      'an outcome that does not exist',
      'test/stories/limits.story.yaml',
      'outcome: deny',
      'outcome: denied',
    ],
  ])('a %s with %s is refused by its schema', (name, _, file, right, wrong) => {
    const text = readFileSync(file, 'utf8');
    const mistyped = text.replace(right, wrong);
    expect(mistyped).not.toBe(text);
    expect(problemsOf(schema(name), parse(text))).toEqual([]);
    expect(problemsOf(schema(name), parse(mistyped))).not.toEqual([]);
  });
});

describe("a charter's schema and its reader", () => {
  interface GivenCharter {
    name: string;
    text: string;
    rest?: string;
    problems?: { code: string }[];
  }
  const { rest, charters } = parse(readFileSync('test/cases/refused-charters.charter-problems.yaml', 'utf8')) as {
    rest: string;
    charters: GivenCharter[];
  };
  /** What can be seen without knowing the rest of the charter. */
  const SHAPE = [
    'REMIT_CHARTER_UNKNOWN_FIELD',
    'REMIT_CHARTER_MISSING_FIELD',
    'REMIT_CHARTER_WRONG_VALUE',
    'REMIT_CHARTER_EMPTY',
    'REMIT_CHARTER_BOUNDARY_KIND',
  ];
  const textOf = (given: GivenCharter): string => given.text + (given.rest ?? rest);

  it.each(charters.filter(({ problems }) => problems?.every(({ code }) => SHAPE.includes(code))))(
    'agree: $name',
    (given) => {
      expect(problemsOf(schema('charter'), parse(textOf(given)))).not.toEqual([]);
    },
  );

  it.each(charters.filter(({ problems }) => problems === undefined))(
    'agree on what is accepted with a warning: $name',
    (given) => {
      expect(checkCharter(textOf(given), sha256).ok).toBe(true);
      expect(problemsOf(schema('charter'), parse(textOf(given)))).toEqual([]);
    },
  );
});
