import { AMBIGUOUS_HOST, domainOf, hostsInText } from '../matching/addresses.js';
import { boundedMemo } from '../matching/bounded-memo.js';
import { LONGEST_FOREIGN_PATTERN, readPattern, type Pattern, type PatternReading } from '../matching/linear-pattern.js';
import { readValueGlob } from '../matching/value-glob.js';
import { plainPath } from '../matching/file-path.js';
import { ROOTS, ROOT_CLASSES } from './cel-variables.js';
import { placesExcept } from './pii-places.js';
import { ExpressionRefusal, readEntryList, type EntryList, type WorkBudget } from './cel-patterns.js';

/** A function of our own: how authors write it, what the library needs, and which argument is a pattern. */
export interface PolicyFunction {
  readonly name: string;
  /** As an author reads it. */
  readonly usage: string;
  readonly signature: string;
  readonly run: (...values: never[]) => boolean | string | readonly unknown[];
  readonly pattern?: { readonly argument: number; readonly kind: 'regular expression' | 'glob' };
}

/** Patterns written in the charter, compiled when it loads, and room for those that expressions compute. */
export interface PatternStore {
  /** Compiles a pattern of the charter; the answer says what is wrong with it. */
  declare(kind: 'regular expression' | 'glob', source: string): PatternReading;
}

const READERS = {
  'regular expression': readPattern,
  glob: (source: string, longest?: number) => readValueGlob(source, longest === undefined ? {} : { longest }),
} as const;

/** A pattern over paths: a slash comes before any `*`, and no host or scheme before it. */
const PATH_PATTERN = /^(?:[a-z]:|[^*:?]*)[\\/]/i;

const SCHEME_OF_URL = /^[a-z][a-z0-9+.-]+:/i;

/** Work that compiling a pattern of an expression stands for, in characters. */
const COMPILING_COST = 20_000;

/** What may hide in a value: every text and number in it, and every name. Collected once for each value. */
function textsOf(value: unknown, into: string[], budget: WorkBudget): void {
  budget.spend(1);
  switch (typeof value) {
    case 'string':
      into.push(value);
      break;
    case 'number':
      into.push(String(value));
      break;
    case 'object':
      if (value === null) break;
      if (Array.isArray(value)) {
        for (const inner of value) textsOf(inner, into, budget);
        break;
      }
      for (const name of Object.keys(value)) {
        into.push(name);
        textsOf((value as Record<string, unknown>)[name], into, budget);
      }
      break;
    default:
  }
}

/** The items of a list and of the lists in it; of a single value, itself. */
function itemsOf(value: unknown, budget: WorkBudget): readonly unknown[] {
  budget.spend(1);
  return Array.isArray(value) ? value.flatMap((item) => itemsOf(item, budget)) : [value];
}

/** What may be remembered by its identity: the variables of an intent change from one evaluation to the next. */
function rememberedBy(value: unknown): object | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return ROOTS.some((root) => value instanceof ROOT_CLASSES[root]) ? undefined : value;
}

/**
 * The functions that policies have besides the few of CEL that are kept. Each takes time linear in what it looks at
 * and pays for it out of the budget of the intent; when that is spent it refuses, and the policy counts as violated.
 */
export function policyFunctions(budget: WorkBudget): { functions: readonly PolicyFunction[]; patterns: PatternStore } {
  const declared = { 'regular expression': new Map<string, Pattern>(), glob: new Map<string, Pattern>() };
  const declare: PatternStore['declare'] = (kind, source) => {
    const reading = READERS[kind](source);
    if (reading.ok) declared[kind].set(source, reading.pattern);
    return reading;
  };
  const patternOf = (kind: 'regular expression' | 'glob', source: string): Pattern => {
    const known = declared[kind].get(source);
    if (known !== undefined) return known;
    budget.spend(COMPILING_COST);
    const reading = READERS[kind](source, LONGEST_FOREIGN_PATTERN);
    if (!reading.ok) throw new ExpressionRefusal('bad_pattern');
    return reading.pattern;
  };
  const matches = (kind: 'regular expression' | 'glob', text: string, source: string): boolean => {
    const pattern = patternOf(kind, source);
    budget.spend(pattern.cost(text.length));
    return text !== '' && pattern.test(text);
  };

  /** Where the pattern begins as a path does, a text is read as one; what two readers could read otherwise is refused. */
  const globMatches = (text: string, source: string): boolean => {
    const isMatch = matches('glob', text, source);
    if (text === '' || !PATH_PATTERN.test(source)) return isMatch;
    const scheme = SCHEME_OF_URL.exec(text)?.[0].toLowerCase();
    if (scheme !== undefined && scheme !== 'file:') return isMatch;
    budget.spend(text.length);
    const plain = scheme === undefined ? plainPath(text) : undefined;
    if (plain === undefined) throw new ExpressionRefusal('ambiguous_path');
    const path = text.endsWith('/') && !plain.endsWith('/') ? `${plain}/` : plain;
    if (path === text) return isMatch;
    const isPath = matches('glob', path, source);
    // Empty segments and `.` mean nothing to any reader; other differences may.
    const written = text.replace(/\/{2,}/g, '/').replace(/(?<=^|\/)(?:\.\/)+/g, '');
    if (isPath !== isMatch && path !== written) throw new ExpressionRefusal('ambiguous_path');
    return isPath;
  };

  const compiledLists = new WeakMap<readonly string[], EntryList>();
  const entriesOf = (list: readonly string[]): EntryList => {
    const known = compiledLists.get(list);
    if (known !== undefined) return known;
    budget.spend(list.reduce((sum, entry) => sum + (entry.includes('*') ? COMPILING_COST : entry.length), 0));
    const compiled = readEntryList(list);
    compiledLists.set(list, compiled);
    return compiled;
  };
  const inList = (text: string, list: readonly string[]): boolean => {
    const entries = entriesOf(list);
    budget.spend(entries.cost(text.length));
    return entries.has(text);
  };

  const isEntry = (item: unknown, list: readonly string[]): boolean =>
    typeof item === 'string' && item !== AMBIGUOUS_HOST && inList(item, list);
  /** Of what is no text nobody can say that it is not in the list. */
  const mayBeEntry = (item: unknown, list: readonly string[]): boolean => {
    if (typeof item !== 'string') throw new ExpressionRefusal('unexpected_type');
    return item === AMBIGUOUS_HOST || inList(item, list);
  };

  const collected = new WeakMap<object, readonly string[]>();
  const allTexts = (value: unknown): readonly string[] => {
    const key = rememberedBy(value);
    const known = key && collected.get(key);
    if (known !== undefined) return known;
    const texts: string[] = [];
    textsOf(value, texts, budget);
    if (key !== undefined) collected.set(key, texts);
    return texts;
  };
  const linked = new WeakMap<object, readonly string[]>();
  const linksIn = (value: unknown): readonly string[] => {
    const key = rememberedBy(value);
    const known = key && linked.get(key);
    if (known !== undefined) return known;
    const hosts = new Set<string>();
    for (const text of allTexts(value)) {
      budget.spend(4 * text.length);
      hostsInText(text, hosts);
    }
    const links = [...hosts];
    if (key !== undefined) linked.set(key, links);
    return links;
  };

  const domain = boundedMemo(1_024, domainOf);

  const functions: readonly PolicyFunction[] = [
    {
      name: 'inList',
      usage: 'inList(text, list)',
      signature: 'inList(string, list<string>): bool',
      run: inList,
    },
    {
      name: 'anyInList',
      usage: 'anyInList(texts, list)',
      signature: 'anyInList(list<string>, list<string>): bool',
      run: (texts: readonly string[], list: readonly string[]) =>
        texts.some((text) => text === AMBIGUOUS_HOST || inList(text, list)),
    },
    {
      name: 'anyNotInList',
      usage: 'anyNotInList(texts, list)',
      signature: 'anyNotInList(list<string>, list<string>): bool',
      run: (texts: readonly string[], list: readonly string[]) =>
        texts.some((text) => text === AMBIGUOUS_HOST || !inList(text, list)),
    },
    {
      name: 'itemsNotInList',
      usage: 'itemsNotInList(values, list)',
      signature: 'itemsNotInList(dyn, list<string>): list<dyn>',
      run: (values: unknown, list: readonly string[]) => itemsOf(values, budget).filter((item) => !isEntry(item, list)),
    },
    {
      name: 'itemsInList',
      usage: 'itemsInList(values, list)',
      signature: 'itemsInList(dyn, list<string>): list<dyn>',
      run: (values: unknown, list: readonly string[]) =>
        itemsOf(values, budget).filter((item) => mayBeEntry(item, list)),
    },
    {
      name: 'placesExcept',
      usage: 'placesExcept(facts.piiPlaces, ["email /to"])',
      signature: 'placesExcept(list<string>, list<string>): list<string>',
      run: (places: readonly string[], exceptions: readonly string[]) => {
        budget.spend(places.length * exceptions.length);
        return placesExcept(places, exceptions);
      },
    },
    {
      name: 'glob',
      usage: 'glob(text, pattern)',
      signature: 'glob(string, string): bool',
      run: globMatches,
      pattern: { argument: 1, kind: 'glob' },
    },
    {
      name: 'matches',
      usage: 'matches(text, pattern)',
      signature: 'matches(string, string): bool',
      run: (text: string, source: string) => matches('regular expression', text, source),
      pattern: { argument: 1, kind: 'regular expression' },
    },
    {
      name: 'domainOf',
      usage: 'domainOf(text)',
      signature: 'domainOf(string): string',
      run: (text: string) => {
        budget.spend(text.length);
        const host = domain(text);
        if (host === undefined) throw new ExpressionRefusal('ambiguous_address');
        return host;
      },
    },
    {
      name: 'linksIn',
      usage: 'linksIn(value)',
      signature: 'linksIn(dyn): list<string>',
      run: linksIn,
    },
    {
      name: 'anyParameter',
      usage: 'anyParameter(action.parameters, pattern)',
      signature: 'anyParameter(dyn, string): bool',
      run: (value: unknown, source: string) =>
        allTexts(value).some((text) => matches('regular expression', text, source)),
      pattern: { argument: 1, kind: 'regular expression' },
    },
  ];
  return { functions, patterns: { declare } };
}
