import type { ASTNode } from '@marcbachmann/cel-js';
import { WEEKDAYS } from '../charter/time-notation.js';
import { nearestName } from '../matching/near-names.js';
import { isGlob, readValueGlob } from '../matching/value-glob.js';
import { childrenOf, listNamed, variableOf, type ListNamed } from './cel-syntax.js';
import { PII_KINDS } from './pii-names.js';
import { problemOfPlace } from './pii-places.js';

/** The texts that a variable can be, or that a list can have as items. */
export interface KnownTexts {
  /** What one of them is called, such as `classification`. */
  readonly what: string;
  readonly values: readonly string[];
  /** Left out: only `values` can come. Else an agent may claim others, or others match, so that a comparison is only doubtful. */
  readonly alsoMatches?: (text: string) => boolean;
  readonly doubtful?: true;
}

/** The whole numbers that a variable can be, both ends included. */
export interface KnownNumbers {
  readonly from: number;
  readonly to: number;
}

/** By `ROOT.FIELD`. What a charter knows of its own names comes with it; see {@link ALWAYS_KNOWN}. */
export interface KnownValues {
  readonly texts: Readonly<Record<string, KnownTexts>>;
  readonly numbers: Readonly<Record<string, KnownNumbers>>;
}

export const ALWAYS_KNOWN: KnownValues = {
  texts: {
    'context.localWeekday': { what: 'weekday', values: WEEKDAYS },
    'context.stage': { what: 'stage', values: ['observe', 'enforce'] },
    'facts.pii': { what: 'kind of personal data', values: PII_KINDS },
  },
  numbers: {
    'context.localHour': { from: 0, to: 23 },
    'context.localMinute': { from: 0, to: 59 },
  },
};

/** What is known of a variable, by the charter's names or always; undefined where a node is no variable, or any value may come. */
export function textsOfVariable(node: ASTNode, charter: KnownValues): KnownTexts | undefined {
  const variable = variableOf(node);
  if (variable === undefined) return undefined;
  return Object.hasOwn(charter.texts, variable) ? charter.texts[variable] : ALWAYS_KNOWN.texts[variable];
}

export function numbersOfVariable(node: ASTNode, charter: KnownValues): KnownNumbers | undefined {
  const variable = variableOf(node);
  return variable === undefined ? undefined : (charter.numbers[variable] ?? ALWAYS_KNOWN.numbers[variable]);
}

/** A comparison with what a variable can never be, or most likely never is. */
export interface StrangeComparison {
  readonly node: ASTNode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly doubtful: boolean;
}

type Lists = Readonly<Record<string, readonly string[]>>;

function isPossible({ values, alsoMatches }: KnownTexts, text: string): boolean {
  return values.includes(text) || alsoMatches?.(text) === true;
}

/** Whether an entry of a list, perhaps a glob, letter case aside, is a value that can come. */
function canBe(known: KnownTexts, entry: string): boolean {
  if (isPossible(known, entry)) return true;
  const reading = isGlob(entry) ? readValueGlob(entry) : undefined;
  if (reading?.ok === true) return known.values.some((value) => reading.pattern.test(value));
  const folded = entry.toLowerCase();
  return reading === undefined && known.values.some((value) => value.toLowerCase() === folded);
}

function hintFor({ values, what }: KnownTexts, text: string): string | undefined {
  const begins = values.filter((value) => value !== '' && text.toLowerCase().startsWith(value.toLowerCase()));
  const spelt = (one: string): string => one.toLowerCase().replace(/[^a-z]/g, '');
  const alike = values.find((value) => spelt(value) === spelt(text) || spelt(`${value}s`) === spelt(text));
  const abbreviated = values.filter((value) => text.length > 2 && value.toLowerCase().startsWith(text.toLowerCase()));
  const near =
    alike ?? (abbreviated.length === 1 ? abbreviated[0] : undefined) ?? nearestName(text, values) ?? begins[0];
  if (near !== undefined && near !== '') return `did you mean \`${near}\`?`;
  const shown = values.filter((value) => value !== '');
  return shown.length === 0
    ? undefined
    : `a ${what} is ${shown.slice(0, 12).join(', ')}${shown.length > 12 ? ', …' : ''}`;
}

/** Calls that compare a text, or the items of a list, with the entries of a list, letter case aside. */
const LIST_CALLS = new Set(['inList', 'anyInList', 'anyNotInList', 'itemsInList', 'itemsNotInList']);

const SIDES: Readonly<Record<string, string>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=', '==': '==', '!=': '!=' };

/** Whether a comparison says the same of every number from … to …, which nobody writes on purpose. */
function isIdle(operator: string, number: number, { from, to }: KnownNumbers): boolean {
  switch (operator) {
    case '==':
    case '!=':
      return !Number.isInteger(number) || number < from || number > to;
    case '<':
      return number <= from;
    case '<=':
      return number < from;
    case '>':
      return number >= to;
    case '>=':
      return number > to;
    default:
      return false;
  }
}

function numberOf(node: ASTNode): number | undefined {
  if (node.op === '-_') {
    const positive = numberOf(node.args);
    return positive === undefined ? undefined : -positive;
  }
  if (node.op !== 'value') return undefined;
  return typeof node.args === 'number' || typeof node.args === 'bigint' ? Number(node.args) : undefined;
}

/**
 * Every comparison of an expression with a value that the variable cannot have: a rule that can never apply, or that always does.
 */
export function strangeComparisons(ast: ASTNode, charter: KnownValues, lists: Lists): readonly StrangeComparison[] {
  const found: StrangeComparison[] = [];
  const textsFor = (node: ASTNode): KnownTexts | undefined => textsOfVariable(node, charter);
  const numbersFor = (node: ASTNode): (KnownNumbers & { readonly name: string }) | undefined => {
    const name = variableOf(node);
    const known = numbersOfVariable(node, charter);
    return known === undefined || name === undefined ? undefined : { ...known, name };
  };
  const complainOf = (node: ASTNode, known: KnownTexts, text: string): void => {
    const message = `there is no ${known.what} \`${text}\`, so the comparison always has the same answer`;
    found.push({ node, message, hint: hintFor(known, text), doubtful: known.doubtful === true });
  };
  const compareText = (variable: ASTNode, literal: ASTNode): void => {
    const known = textsFor(variable);
    if (known === undefined || literal.op !== 'value' || typeof literal.args !== 'string') return;
    if (!isPossible(known, literal.args)) complainOf(literal, known, literal.args);
  };
  const compareNumber = (variable: ASTNode, operator: string, literal: ASTNode): void => {
    const known = numbersFor(variable);
    const number = numberOf(literal);
    if (known === undefined || number === undefined || !isIdle(operator, number, known)) return;
    const message = `\`${known.name}\` is from ${known.from} to ${known.to}, so the comparison with ${number} always has the same answer`;
    found.push({ node: literal, message, hint: undefined, doubtful: false });
  };
  const compareEntries = (variable: ASTNode, list: ASTNode, exact: boolean): void => {
    const known = textsFor(variable);
    if (list.op === 'list') {
      for (const entry of list.args) {
        if (numberOf(entry) !== undefined) compareNumber(variable, '==', entry);
        else if (known === undefined || entry.op !== 'value' || typeof entry.args !== 'string') continue;
        else if (!(exact ? isPossible(known, entry.args) : canBe(known, entry.args)))
          complainOf(entry, known, entry.args);
      }
      return;
    }
    const named: ListNamed | undefined = listNamed(list);
    if (known === undefined || named === undefined || !('name' in named)) return;
    const entries = Object.hasOwn(lists, named.name) ? (lists[named.name] ?? []) : [];
    if (entries.length === 0 || entries.some((entry) => (exact ? isPossible(known, entry) : canBe(known, entry))))
      return;
    const message = `no entry of \`lists.${named.name}\` is a ${known.what}, so the comparison always has the same answer`;
    found.push({ node: list, message, hint: hintFor(known, entries[0] ?? ''), doubtful: known.doubtful === true });
  };
  const visit = (node: ASTNode): void => {
    const other = SIDES[node.op];
    if (other !== undefined) {
      const [left, right] = node.args as readonly [ASTNode, ASTNode];
      if (node.op === '==' || node.op === '!=') {
        compareText(left, right);
        compareText(right, left);
      }
      compareNumber(left, node.op, right);
      compareNumber(right, other, left);
    } else if (node.op === 'in') {
      const [item, items] = node.args;
      compareText(items, item);
      compareEntries(item, items, true);
    } else if (node.op === 'call') {
      const [name, [given, list]] = node.args;
      if (name === 'placesExcept' && list?.op === 'list') {
        for (const entry of list.args) {
          const problem =
            entry.op === 'value' && typeof entry.args === 'string' ? problemOfPlace(entry.args) : undefined;
          if (problem !== undefined) found.push({ node: entry, message: problem, hint: undefined, doubtful: false });
        }
      }
      if (LIST_CALLS.has(name) && given !== undefined && list !== undefined) compareEntries(given, list, false);
      if (name === 'glob' && given !== undefined && list?.op === 'value' && typeof list.args === 'string') {
        const known = textsFor(given);
        if (known !== undefined && !canBe(known, list.args)) complainOf(list, known, list.args);
      }
    }
    for (const inner of childrenOf(node)) visit(inner);
  };
  visit(ast);
  return found;
}
