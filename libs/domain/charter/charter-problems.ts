import { z } from 'zod';
import { hintFor, nearestName } from '../matching/near-names.js';
import { EXPRESSION_DOUBT_CODES, EXPRESSION_PROBLEM_CODES } from '../policy/cel-expressions.js';

/** What is wrong with a charter. Those marked * are warnings only. */
export const CHARTER_PROBLEM_CODES = [
  'REMIT_CHARTER_TOO_LARGE',
  'REMIT_CHARTER_NOT_YAML',
  'REMIT_CHARTER_TAG',
  'REMIT_CHARTER_ALIAS',
  'REMIT_CHARTER_SEVERAL_DOCUMENTS',
  'REMIT_CHARTER_DUPLICATE_KEY',
  'REMIT_CHARTER_UNKNOWN_FIELD',
  'REMIT_CHARTER_MISSING_FIELD',
  'REMIT_CHARTER_WRONG_VALUE',
  'REMIT_CHARTER_EMPTY',
  'REMIT_CHARTER_DURATION',
  'REMIT_CHARTER_HOURS',
  'REMIT_CHARTER_DAYS',
  'REMIT_CHARTER_TIME_ZONE',
  'REMIT_CHARTER_NUMBER',
  'REMIT_CHARTER_BOUNDARY_KIND',
  'REMIT_CHARTER_UNDECLARED_NAME',
  'REMIT_CHARTER_DUPLICATE_ID',
  'REMIT_CHARTER_NEVER_APPLIES',
  'REMIT_CHARTER_NOBODY_APPROVES',
  ...EXPRESSION_PROBLEM_CODES,
  'REMIT_CHARTER_IMMUTABLE_RULE',
  'REMIT_CHARTER_PERCENT_NOT_YET',
  /* * */ 'REMIT_CHARTER_MATCHES_NO_AGENT',
  /* * */ 'REMIT_CHARTER_MATCHES_NO_ACTION',
  /* * */ ...EXPRESSION_DOUBT_CODES,
  /* * */ 'REMIT_CHARTER_NEAR_MISS',
  /* * */ 'REMIT_CHARTER_FIXED_OFFSET',
  /* * */ 'REMIT_CHARTER_VERBS_NOT_COVERED',
  /* * */ 'REMIT_CHARTER_LIFTS_MORE',
] as const;
export type CharterProblemCode = (typeof CHARTER_PROBLEM_CODES)[number];

/** One problem, where a person finds it. Line and column count from 1; the path reads `boundaries[2].max`. */
export interface CharterProblem {
  readonly code: CharterProblemCode;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

export type CharterPath = readonly (string | number)[];

/** Takes a problem down at the place of its path: where the value stands, or the key that names it. */
export type Report = (
  code: CharterProblemCode,
  path: CharterPath,
  message: string,
  options?: { hint?: string | undefined; at?: 'key' | 'value' },
) => void;

export function pathText(path: CharterPath): string {
  let text = '';
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text === '' ? step : `.${step}`;
  return text;
}

function nameOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return 'a text';
    case 'number':
      return Number.isFinite(value) ? 'a number' : 'infinity or not-a-number';
    case 'boolean':
      return 'true or false';
    default:
      return 'a mapping';
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function valueAt(value: unknown, path: CharterPath): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Record<string | number, unknown>)[step];
  }
  return found;
}

/** The fields a schema knows at a path; none where it takes any name. */
function fieldsAt(schema: unknown, path: CharterPath): readonly string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return fieldsAt(schema.unwrap(), path);
  const [step, ...rest] = path;
  if (schema instanceof z.ZodObject) {
    return step === undefined ? Object.keys(schema.shape) : fieldsAt(schema.shape[String(step)], rest);
  }
  if (step === undefined) return [];
  if (schema instanceof z.ZodRecord) return fieldsAt(schema.valueType, rest);
  if (schema instanceof z.ZodArray) return fieldsAt(schema.element, rest);
  return [];
}

function isProblemCode(code: unknown): code is CharterProblemCode {
  return (CHARTER_PROBLEM_CODES as readonly unknown[]).includes(code);
}

function reportIssue(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  value: unknown,
  at: CharterPath,
  report: Report,
): void {
  const inner = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const path = [...at, ...inner];
  const found = valueAt(value, inner);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = fieldsAt(schema, inner);
      for (const key of issue.keys) {
        report('REMIT_CHARTER_UNKNOWN_FIELD', [...path, key], `\`${key}\` is not a field here`, {
          hint: hintFor(key, known, 'fields'),
          at: 'key',
        });
      }
      return;
    }
    case 'invalid_type':
      if (found === undefined) {
        const field = path.at(-1) ?? '';
        report('REMIT_CHARTER_MISSING_FIELD', path, `\`${field}\` is missing`, { at: 'key' });
      } else if (issue.message.startsWith('Invalid input')) {
        const expected = EXPECTED[issue.expected] ?? issue.expected;
        report('REMIT_CHARTER_WRONG_VALUE', path, `must be ${expected}, not ${nameOf(found)}`);
      } else {
        report('REMIT_CHARTER_WRONG_VALUE', path, issue.message);
      }
      return;
    case 'invalid_value': {
      const values = issue.values.map(String);
      if (found === undefined) {
        const field = path.at(-1) ?? '';
        report('REMIT_CHARTER_MISSING_FIELD', path, `\`${field}\` is missing`, {
          hint: `write ${alternatives(values)}`,
          at: 'key',
        });
        return;
      }
      const near = typeof found === 'string' ? nearestName(found, values) : undefined;
      report('REMIT_CHARTER_WRONG_VALUE', path, `must be ${alternatives(values)}`, {
        hint: near === undefined ? undefined : `did you mean \`${near}\`?`,
      });
      return;
    }
    case 'invalid_key':
      report('REMIT_CHARTER_WRONG_VALUE', path, `the name ${issue.issues.map((one) => one.message).join('; ')}`, {
        at: 'key',
      });
      return;
    case 'too_small':
      if (issue.origin === 'array') {
        report('REMIT_CHARTER_EMPTY', path, 'is an empty list, so it can never apply', { at: 'key' });
        return;
      }
      report('REMIT_CHARTER_WRONG_VALUE', path, sentence(issue.message, `must be at least ${issue.minimum}`));
      return;
    case 'too_big':
      report('REMIT_CHARTER_WRONG_VALUE', path, sentence(issue.message, `must be at most ${issue.maximum}`));
      return;
    case 'custom': {
      const code: unknown = issue.params?.['code'];
      const hint: unknown = issue.params?.['hint'];
      report(isProblemCode(code) ? code : 'REMIT_CHARTER_WRONG_VALUE', path, issue.message, {
        hint: typeof hint === 'string' ? hint : undefined,
      });
      return;
    }
    default:
      report('REMIT_CHARTER_WRONG_VALUE', path, issue.message);
  }
}

function alternatives(values: readonly string[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1) ?? ''}`;
}

/** Our own message where the schema has one, else a plainer one than the library's. */
function sentence(message: string, plain: string): string {
  return message.startsWith('Too ') ? plain : message;
}

/** Reports everything a schema has against a value that lies at a path of the charter. */
export function reportShape(schema: z.ZodType, value: unknown, at: CharterPath, report: Report): void {
  const checked = schema.safeParse(value);
  if (checked.success) return;
  for (const issue of checked.error.issues) reportIssue(issue, schema, value, at, report);
}
