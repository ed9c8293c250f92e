import { z } from 'zod';
import { isPlainText, NOT_PLAIN, plainTextSchema } from '../record/plain-text.js';
import type { JsonValue } from '../intent/intent.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { compileAllowedTexts } from '../matching/allowed-texts.js';
import { isBelow, plainPath } from '../matching/file-path.js';
import { mailAddress } from '../matching/mail-address.js';
import { isGlob, readValueGlob } from '../matching/value-glob.js';
import { domainOf } from '../matching/addresses.js';

/** So many items of one list are compared with what grants name; a longer list is covered by no named value. */
export const MAX_ITEMS_LOOKED_AT = 256;

/** So many values one constraint may name. */
export const MAX_NAMED_VALUES = 64;

const textSchema = plainTextSchema(1024);

/** How a value may be named, for who has named one otherwise. */
export const VALUE_CONSTRAINT_SHAPES =
  'must be a text, a number, true or false, or one of {"equals":…}, {"glob":…}, {"host":…}, {"pathPrefix":…}, {"address":…}, {"min":…,"max":…}, {"list":…}, {"oneOf":[…]}';

const rangeSchema = z
  .strictObject({ min: z.number().optional(), max: z.number().optional() })
  .refine(({ min, max }) => min !== undefined || max !== undefined, 'needs `min`, `max` or both');

/** One value as a grant names it. */
const namedValueSchema = z.union(
  [
    z
      .union([z.string().max(1024).refine(isPlainText, NOT_PLAIN), z.number(), z.boolean()])
      .describe(
        'Exactly this value, of this type. A text with `*` is a glob; a text that is one mail address, or a pattern ' +
          'over them such as *@friend.example, is an address.',
      ),
    z
      .strictObject({
        equals: z.union([z.string().max(1024).refine(isPlainText, NOT_PLAIN), z.number(), z.boolean(), z.null()]),
      })
      .describe('Exactly this value, of this type, letter case and all.'),
    z
      .strictObject({ glob: textSchema })
      .describe(
        'A text: `*` stands for one or more characters of one part, `**` for any. Case-sensitive; never a path upwards.',
      ),
    z
      .strictObject({ host: textSchema })
      .describe('A host, or a URL of it: bank.example, or *.bank.example for every host below it.'),
    z
      .strictObject({ pathPrefix: textSchema })
      .describe('This folder or a path in it, however it is written; never with a step upwards.'),
    z
      .strictObject({ address: textSchema })
      .describe('Exactly one mail address, in either letter case: jane@friend.example, or *@friend.example.'),
    rangeSchema.describe('A number from `min` to `max`, both included.'),
    z.strictObject({ list: plainTextSchema(64) }).describe('An entry of this list of the charter in force (`lists`).'),
  ],
  VALUE_CONSTRAINT_SHAPES,
);
export type NamedValue = z.infer<typeof namedValueSchema>;

/** What a grant says of one value of an action. Of a list, every item must keep it. */
export const valueConstraintSchema = z.union(
  [
    namedValueSchema,
    z
      .strictObject({ oneOf: z.array(namedValueSchema).min(1).max(MAX_NAMED_VALUES) })
      .describe('Any of these; of a list, every item must be one of them.'),
  ],
  VALUE_CONSTRAINT_SHAPES,
);
export type ValueConstraint = z.infer<typeof valueConstraintSchema>;

/** Whether a text is an entry of a list of the charter in force. */
export type ListLookUp = (list: string, text: string) => boolean;

/** The least of what a constraint means: one typed test for each value named. */
type Typed =
  | { readonly kind: 'equals'; readonly value: string | number | boolean | null }
  | { readonly kind: 'glob'; readonly glob: string }
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'path'; readonly folder: string }
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'range'; readonly min: number | undefined; readonly max: number | undefined }
  | { readonly kind: 'list'; readonly list: string };

function typedValue(named: NamedValue): Typed {
  if (typeof named === 'string') {
    if (mailAddress(named) !== undefined) return { kind: 'address', address: named };
    return isGlob(named) ? { kind: 'glob', glob: named } : { kind: 'equals', value: named };
  }
  if (typeof named !== 'object') return { kind: 'equals', value: named };
  if ('equals' in named) return { kind: 'equals', value: named.equals };
  if ('glob' in named) return { kind: 'glob', glob: named.glob };
  if ('host' in named) return { kind: 'host', host: named.host };
  if ('pathPrefix' in named) return { kind: 'path', folder: named.pathPrefix };
  if ('address' in named) return { kind: 'address', address: named.address };
  if ('list' in named) return { kind: 'list', list: named.list };
  return { kind: 'range', min: named.min, max: named.max };
}

/** The values a constraint names, each with its type. */
function typedValues(constraint: ValueConstraint): Typed[] {
  if (typeof constraint === 'object' && 'oneOf' in constraint) return constraint.oneOf.map(typedValue);
  return [typedValue(constraint)];
}

const REMEMBERED_GLOBS = 256;

const exactGlob = boundedMemo(REMEMBERED_GLOBS, (source: string) => compileAllowedTexts([source]));
const foldedGlob = boundedMemo(REMEMBERED_GLOBS, (source: string) => readValueGlob(source));

function matchesGlob(reading: ReturnType<typeof readValueGlob>, text: string): boolean {
  return reading.ok && reading.pattern.test(text);
}

/** The host that a text names; undefined where it names an address, a person or nothing certain. */
function hostOf(text: string): string | undefined {
  const [beforePath = ''] = text.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '').split(/[/?#]/, 1);
  if (beforePath.includes('@')) return undefined;
  return domainOf(text) || undefined;
}

function namesText(typed: Exclude<Typed, { kind: 'equals' | 'range' }>, text: string, inList: ListLookUp): boolean {
  switch (typed.kind) {
    case 'glob':
      return exactGlob(typed.glob)(text);
    case 'host': {
      const host = hostOf(text);
      return host !== undefined && matchesGlob(foldedGlob(typed.host), host);
    }
    case 'path': {
      const folder = plainPath(typed.folder);
      const path = plainPath(text);
      return folder !== undefined && path !== undefined && isBelow(folder, path);
    }
    case 'address': {
      const wanted = mailAddress(typed.address);
      const address = mailAddress(text);
      return wanted !== undefined && address !== undefined && matchesGlob(foldedGlob(wanted), address);
    }
    case 'list':
      return inList(typed.list, text);
    default:
      return typed satisfies never;
  }
}

function names(typed: Typed, value: JsonValue, inList: ListLookUp): boolean {
  switch (typed.kind) {
    case 'equals':
      return value === typed.value;
    case 'range':
      return (
        typeof value === 'number' &&
        value >= (typed.min ?? Number.NEGATIVE_INFINITY) &&
        value <= (typed.max ?? Number.POSITIVE_INFINITY)
      );
    default:
      return typeof value === 'string' && namesText(typed, value, inList);
  }
}

const NO_LISTS: ListLookUp = () => false;

/** Whether a constraint names one value: a text, a number, true, false or null. */
export function namesValue(constraint: ValueConstraint, value: JsonValue, inList: ListLookUp = NO_LISTS): boolean {
  return typedValues(constraint).some((typed) => names(typed, value, inList));
}

/** Whether a value keeps a constraint: it is named, or it is a list that is not empty and every item of it is named. */
export function keepsConstraint(
  constraint: ValueConstraint,
  value: JsonValue | undefined,
  inList: ListLookUp = NO_LISTS,
): boolean {
  if (value === undefined) return false;
  if (!Array.isArray(value)) return namesValue(constraint, value, inList);
  if (value.length === 0 || value.length > MAX_ITEMS_LOOKED_AT) return false;
  return value.every((item) => keepsConstraint(constraint, item, inList));
}

function problemOfTyped(typed: Typed, lists: ReadonlySet<string>): string | undefined {
  switch (typed.kind) {
    case 'glob': {
      const reading = readValueGlob(typed.glob, { letters: 'exact' });
      return reading.ok ? undefined : `the glob ${reading.message}`;
    }
    case 'host':
      return /^(\*\.)?[^*\s/@:]+$/.test(typed.host) && hostOf(typed.host.replace(/^\*\./, '')) !== undefined
        ? undefined
        : 'a host is written like bank.example, or *.bank.example for every host below it';
    case 'path':
      return plainPath(typed.folder) === undefined || /^[a-z][a-z0-9+.-]+:/i.test(typed.folder)
        ? 'a path prefix is a folder such as /srv/reports, without steps upwards'
        : undefined;
    case 'address':
      return mailAddress(typed.address) === undefined
        ? 'an address is written like jane@friend.example or *@friend.example'
        : undefined;
    case 'range':
      return (typed.min ?? Number.NEGATIVE_INFINITY) > (typed.max ?? Number.POSITIVE_INFINITY)
        ? 'no number lies in the range'
        : undefined;
    case 'list':
      return lists.has(typed.list) ? undefined : `the charter in force has no list ${typed.list}`;
    case 'equals':
      return undefined;
    default:
      return typed satisfies never;
  }
}

/** Why a constraint can never be kept under a charter with these lists, in words for who wrote it; undefined: it can. */
export function problemOfConstraint(constraint: ValueConstraint, lists: ReadonlySet<string>): string | undefined {
  for (const typed of typedValues(constraint)) {
    const problem = problemOfTyped(typed, lists);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Whether a constraint names every text there is, and so binds nothing. */
export function namesEverything(constraint: ValueConstraint): boolean {
  return typedValues(constraint).some((typed) => {
    switch (typed.kind) {
      case 'glob':
        return /^\*+$/.test(typed.glob);
      case 'path':
        return plainPath(typed.folder) === '/';
      default:
        return false;
    }
  });
}

function typedText(typed: Typed): string {
  switch (typed.kind) {
    case 'equals':
      if (typed.value === null) return 'null';
      if (typeof typed.value === 'string') return `the text ${JSON.stringify(typed.value)}`;
      return typeof typed.value === 'number' ? `the number ${typed.value}` : String(typed.value);
    case 'glob':
      return `a text like ${JSON.stringify(typed.glob)}`;
    case 'host':
      return `the host ${typed.host}`;
    case 'path':
      return `a path in ${JSON.stringify(typed.folder)}`;
    case 'address':
      return `the address ${typed.address}`;
    case 'range':
      if (typed.min === undefined) return `a number up to ${String(typed.max)}`;
      return typed.max === undefined ? `a number from ${typed.min}` : `a number from ${typed.min} to ${typed.max}`;
    case 'list':
      return `an entry of lists.${typed.list}`;
    default:
      return typed satisfies never;
  }
}

/** What a constraint names, with types, as a person reads it: `the number 11 or the text "11"`. */
export function constraintInWords(constraint: ValueConstraint): string {
  return typedValues(constraint).map(typedText).join(' or ');
}

function kindOfTyped(typed: Typed): string {
  switch (typed.kind) {
    case 'equals':
      return kindOfValue(typed.value);
    case 'glob':
      return 'a text that matches a glob';
    case 'host':
      return 'a host';
    case 'path':
      return 'a path in a folder';
    case 'address':
      return 'a mail address';
    case 'range':
      return 'a number in a range';
    case 'list':
      return `an entry of lists.${typed.list}`;
    default:
      return typed satisfies never;
  }
}

/** The kind of a value, and nothing of what it says. */
export function kindOfValue(value: JsonValue | undefined): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  switch (typeof value) {
    case 'string':
      return 'a text';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    default:
      return 'an object';
  }
}

/**
 * What was expected and what there was instead, by their types alone: decisions quote no value of a parameter. Of a
 * list, the first item that is not named.
 */
export function expectedAndGot(
  constraint: ValueConstraint,
  value: JsonValue | undefined,
  inList: ListLookUp = NO_LISTS,
): { readonly expected: string; readonly got: string } {
  if (Array.isArray(value) && value.length > MAX_ITEMS_LOOKED_AT) {
    return { expected: `at most ${MAX_ITEMS_LOOKED_AT} items`, got: 'more' };
  }
  if (Array.isArray(value) && value.length > 0) {
    const item = value.find((one) => !keepsConstraint(constraint, one, inList));
    const inner = expectedAndGot(constraint, item, inList);
    return { expected: `${inner.expected} in each item`, got: inner.got };
  }
  const kinds = [...new Set(typedValues(constraint).map(kindOfTyped))];
  const got = kindOfValue(value);
  return { expected: kinds.join(' or '), got: kinds.includes(got) ? `another: ${got} the grant does not name` : got };
}
