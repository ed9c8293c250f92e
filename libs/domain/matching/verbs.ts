import { boundedMemo } from './bounded-memo.js';
import { foldName } from './folding.js';
import { compileGlob, hasWildcard, type Selector } from './glob.js';

/** Agents choose what they call their actions, so the readings kept are bounded. */
const REMEMBERED_TYPES = 4096;

const SIGNS = /[^\p{L}\p{N}]+/gu;

/** Where a word of an action type may begin or end when case tells words apart: `bulk|Delete`, `HTTP|Delete`, `DEL|ete`. */
const HUMPS = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/gu;
const CHANGES = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Ll})/gu;

/** The ways in which an action type is read by what restricts. */
interface TypeReadings {
  readonly folded: string;
  /** Letters and digits alone: `unlock_account`, `UnlockAccount` and `unlock-account` have the same. */
  readonly squeezed: string;
  /** Its words joined by `_`, for each way of telling words apart. */
  readonly joined: readonly string[];
  /** Places in `squeezed` where a word may begin or end. */
  readonly edges: ReadonlySet<number>;
}

function joined(type: string, split: RegExp | undefined): string {
  const marked = split === undefined ? type : type.replace(split, '_');
  return marked.replace(SIGNS, '_').toLowerCase();
}

function edgesOf(type: string): ReadonlySet<number> {
  const edges = new Set([0]);
  let place = 0;
  for (const word of type
    .replace(HUMPS, '_')
    .replace(CHANGES, '_')
    .split(/([^\p{L}]+)/u)) {
    edges.add(place);
    place += word.replace(SIGNS, '').length;
    edges.add(place);
  }
  return edges;
}

const readingsOf = boundedMemo(REMEMBERED_TYPES, (type: string): TypeReadings => {
  const plain = type.normalize('NFKC');
  return {
    folded: foldName(type),
    squeezed: plain.replace(SIGNS, '').toLowerCase(),
    joined: [...new Set([undefined, HUMPS, CHANGES].map((split) => joined(plain, split)))],
    edges: edgesOf(plain),
  };
});

/** How an action type may be spelt otherwise: in lower case, with `_` between its words, or as one of these texts spells it. */
export function readingsOfVerb(type: string, texts: readonly string[]): readonly string[] {
  const { folded, joined: words, squeezed } = readingsOf(type);
  return [folded, ...words, ...texts.filter((text) => text.length <= 128 && readingsOf(text).squeezed === squeezed)];
}

function compileReading(pattern: string): (readings: TypeReadings) => boolean {
  if (!hasWildcard(pattern)) {
    const { squeezed } = readingsOf(pattern);
    return (readings) => readings.squeezed === squeezed;
  }
  const whole = compileGlob(pattern.toLowerCase());
  const words = pattern
    .replace(HUMPS, '_')
    .replace(/[^\p{L}\p{N}*]+/gu, '_')
    .toLowerCase();
  const ofWords = compileGlob(words);
  return (readings) => whole(readings.folded) || readings.joined.some(ofWords);
}

/**
 * Whether an action type is one of these, read widely: letter case, and how words are put together, make no difference
 * (`unlock_account` selects `UnlockAccount`). A pattern with `*` is a glob over the whole type.
 */
export function compileVerbSelector(patterns: readonly string[]): Selector {
  if (patterns.includes('*')) return () => true;
  const compiled = patterns.map(compileReading);
  return (type) => {
    const readings = readingsOf(type);
    return compiled.some((matches) => matches(readings));
  };
}

/**
 * Other forms of verbs, and compounds written as one word. Participles and plurals are none of them: `list_deleted_items`
 * deletes nothing, and `list_transfers` transfers nothing.
 */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  delete: ['deleting', 'deletion', 'deletions', 'deletecollection', 'deleteall', 'deletemany', 'deleteone', 'del'],
  destroy: ['destroying', 'destruction', 'destroyall'],
  drop: ['dropping'],
  erase: ['erasing', 'erasure'],
  exec: ['execute', 'executing', 'execution'],
  execute: ['executing', 'execution', 'exec'],
  impersonate: ['impersonating', 'impersonation'],
  purge: ['purging', 'purgeall'],
  remove: ['removing', 'removal', 'removeall'],
  revoke: ['revoking', 'revocation'],
  terminate: ['terminating', 'termination'],
  truncate: ['truncating', 'truncation'],
  wipe: ['wiping'],
};

function formsOf(verb: string): readonly string[] {
  const { squeezed } = readingsOf(verb);
  return [squeezed, ...(Object.hasOwn(FORMS, squeezed) ? (FORMS[squeezed] ?? []) : [])];
}

/** Whether a text stands at a place where words begin and end. */
function holdsBetweenEdges({ squeezed, edges }: TypeReadings, text: string): boolean {
  for (let at = squeezed.indexOf(text); at !== -1; at = squeezed.indexOf(text, at + 1)) {
    if (edges.has(at) && edges.has(at + text.length)) return true;
  }
  return false;
}

/** Words under which common systems destroy what cannot be got back. */
export const DESTRUCTIVE_VERBS: readonly string[] =
  'delete destroy drop erase purge remove rm rmdir shred terminate truncate unlink wipe deregister expunge'.split(' ');

/** Verbs that are spelt right, whoever may do them. */
export const KNOWN_VERBS: readonly string[] = [...new Set([...DESTRUCTIVE_VERBS, ...Object.keys(FORMS)])];

/** The words of an action type, in lower case; of a glob, those between its wildcards. */
export function wordsOfVerb(type: string): readonly string[] {
  const words = joined(type.normalize('NFKC'), HUMPS).split('_');
  return words.filter((word) => word !== '');
}

/**
 * Whether an action type uses a verb: as any of its words, in any form of it and however the type is spelt (`bulk-delete`,
 * `userDELete`, `ScheduleKeyDeletion`). A verb with `*` is a glob over the whole type.
 */
export function compileVerbUse(verb: string): Selector {
  if (hasWildcard(verb)) return compileVerbSelector([verb]);
  const forms = formsOf(verb).filter((form) => form !== '');
  return (type) => {
    const readings = readingsOf(type);
    return forms.some((form) => holdsBetweenEdges(readings, form));
  };
}
