import { InvalidArgumentError } from 'commander';
import { z } from 'zod';
import {
  constraintInWords,
  constraintsSchema,
  VALUE_CONSTRAINT_SHAPES,
  valueConstraintSchema,
  type Constraints,
  type NamedValue,
  type ValueConstraint,
} from '#domain';
import { fail } from './command-failure.js';

/** What the command line says of a grant's constraints; options that repeat add up. */
export interface ConstraintOptions {
  readonly destination?: readonly NamedValue[];
  readonly destinationJson?: readonly NamedValue[];
  readonly target?: string;
  readonly parameter?: readonly NamedParameter[];
  readonly parameterJson?: readonly NamedParameter[];
  readonly chain?: string;
  readonly provenFrom?: string;
  readonly digest?: string;
}

/** A value that is named for a parameter. */
interface NamedParameter {
  readonly path: string;
  readonly value: NamedValue;
}

function split(text: string, form: string): { path: string; value: string } {
  const [, path, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (path === undefined || value === undefined) throw new InvalidArgumentError(`It is ${form}.`);
  return { path, value };
}

/** What reads back as it was typed: not `007`, not `1.50`, no number that a double does not hold. */
const LITERAL = /^(true|false|-?(0|[1-9]\d*)(\.\d+)?)$/;

/** A shell has no types: what reads as a number, true or false is meant as such and as the text that was typed. */
function asTyped(text: string): NamedValue[] {
  const literal = LITERAL.test(text) ? (JSON.parse(text) as number | boolean) : undefined;
  return literal !== undefined && String(literal) === text ? [literal, text] : [text];
}

function namedByJson(text: string): NamedValue[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`${text} is no JSON; a text stands in double quotes.`);
  }
  const checked = valueConstraintSchema.safeParse(value);
  if (!checked.success) throw new InvalidArgumentError(`A value ${VALUE_CONSTRAINT_SHAPES}.`);
  return typeof checked.data === 'object' && 'oneOf' in checked.data ? checked.data.oneOf : [checked.data];
}

export function destination(text: string, before: readonly NamedValue[] = []): NamedValue[] {
  return [...before, text];
}

export function destinationJson(text: string, before: readonly NamedValue[] = []): NamedValue[] {
  return [...before, ...namedByJson(text)];
}

export function parameter(text: string, before: readonly NamedParameter[] = []): NamedParameter[] {
  const { path, value } = split(text, 'path=value');
  return [...before, ...asTyped(value).map((one) => ({ path, value: one }))];
}

export function parameterJson(text: string, before: readonly NamedParameter[] = []): NamedParameter[] {
  const { path, value } = split(text, 'path=json');
  return [...before, ...namedByJson(value).map((one) => ({ path, value: one }))];
}

function anyOf(values: readonly NamedValue[]): ValueConstraint | undefined {
  const [only] = values;
  return values.length === 1 ? only : { oneOf: [...values] };
}

/** What the options bind a grant to; undefined when they bind it to nothing. */
export function constraintsOf({
  target,
  chain,
  provenFrom,
  digest,
  ...options
}: ConstraintOptions): Constraints | undefined {
  const destinations = [...(options.destination ?? []), ...(options.destinationJson ?? [])];
  const named = Map.groupBy([...(options.parameter ?? []), ...(options.parameterJson ?? [])], ({ path }) => path);
  const parameters = [...named].map(([path, values]) => [path, anyOf(values.map(({ value }) => value))] as const);
  const constraints = {
    ...(destinations.length === 0 ? {} : { destination: anyOf(destinations) }),
    ...(target === undefined ? {} : { target }),
    ...(parameters.length === 0 ? {} : { parameters: Object.fromEntries(parameters) }),
    ...(chain === undefined ? {} : { chainId: chain }),
    ...(provenFrom === undefined ? {} : { provenFrom }),
    ...(digest === undefined ? {} : { actionDigest: digest }),
  };
  if (Object.keys(constraints).length === 0) return undefined;
  const checked = constraintsSchema.safeParse(constraints);
  if (!checked.success) fail(`REMIT_CLI_OPTIONS: ${z.prettifyError(checked.error)}`);
  return checked.data;
}

/** What a grant is bound to, each value with its type. */
export function constraintText({ destination: going, parameters, ...others }: Constraints): string {
  const texts = Object.entries(others).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  if (going !== undefined) texts.push(`destination is ${constraintInWords(going)}`);
  for (const [path, constraint] of Object.entries(parameters ?? {})) {
    texts.push(`${path} is ${constraintInWords(constraint)}`);
  }
  return texts.length === 0 ? 'nothing' : texts.join('; ');
}
