import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, Pair, YAMLMap, YAMLParseError, YAMLWarning } from 'yaml';
import { inexactNumber, isExactNumber } from '../record/exact-number.js';
import { isPlainText } from '../record/plain-text.js';
import { pathText, type CharterPath, type CharterProblem, type CharterProblemCode } from './charter-problems.js';

/** A charter is read by people: what is longer is no charter. */
export const MAX_CHARTER_BYTES = 256 * 1024;

/** What YAML makes of a charter's text, and where each part of it stands. */
export interface CharterSource {
  readonly value: unknown;
  /** The problem at the place of a path, or of the nearest part of it that exists. */
  problemAt(
    code: CharterProblemCode,
    path: CharterPath,
    message: string,
    options?: { hint?: string | undefined; at?: 'key' | 'value' },
  ): CharterProblem;
}

export type CharterReading =
  { readonly ok: true; readonly source: CharterSource } | { readonly ok: false; readonly problems: CharterProblem[] };

function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    // Each half of a surrogate pair counts two of its four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}

function problem(
  code: CharterProblemCode,
  place: { line: number; col: number },
  path: CharterPath,
  message: string,
  hint?: string,
): CharterProblem {
  return {
    code,
    line: place.line,
    column: place.col,
    path: pathText(path),
    message,
    ...(hint === undefined ? {} : { hint }),
  };
}

const START = { line: 1, col: 1 };

const TAG_HINT = 'a value that begins with `!` is a YAML tag; put the expression in quotes, as in "!(a && b)"';

function problemOfYaml(error: YAMLParseError | YAMLWarning, lines: LineCounter): CharterProblem {
  const place = lines.linePos(error.pos[0]);
  const message = error.message.replace(/\s+at line \d+, column \d+:[\s\S]*$/, '');
  if (error.code === 'TAG_RESOLVE_FAILED' || /\btag\b/i.test(message)) {
    return problem('REMIT_CHARTER_TAG', place, [], 'has a YAML tag, which a charter may not have', TAG_HINT);
  }
  if (error.code === 'MULTIPLE_DOCS') {
    return problem('REMIT_CHARTER_SEVERAL_DOCUMENTS', place, [], 'holds more than one YAML document; a charter is one');
  }
  return problem('REMIT_CHARTER_NOT_YAML', place, [], `is not YAML: ${message}`);
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function offsetOf(node: unknown): number | undefined {
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
  const offset: unknown = Array.isArray(range) ? range[0] : undefined;
  return typeof offset === 'number' ? offset : undefined;
}

/** Whether a number of the page is the number that is read. Other notations than the decimal one are left to the schema. */
function isKept(value: number, written: string): boolean {
  if (/^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(written)) return isExactNumber(written);
  return !Number.isInteger(value) || Number.isSafeInteger(value);
}

/** Aliases, tags and repeated keys: YAML that says something other than what a reader of the page sees. */
function problemsOfNodes(document: Document.Parsed, lines: LineCounter): CharterProblem[] {
  const problems: CharterProblem[] = [];
  const add = (code: CharterProblemCode, node: unknown, message: string, hint?: string): void => {
    problems.push(problem(code, lines.linePos(offsetOf(node) ?? 0), [], message, hint));
  };
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        add('REMIT_CHARTER_ALIAS', node, `\`*${node.source}\` is a YAML alias; write out what it stands for`);
      } else if (node.tag !== undefined) {
        add('REMIT_CHARTER_TAG', node, `\`${node.tag}\` is a YAML tag, which a charter may not have`, TAG_HINT);
      } else if (isScalar(node) && typeof node.value === 'string' && !isPlainText(node.value)) {
        add('REMIT_CHARTER_NOT_YAML', node, 'holds half a character or U+0000, which no event can');
      } else if (isScalar(node) && typeof node.value === 'number' && !isKept(node.value, node.source ?? '')) {
        add('REMIT_CHARTER_NUMBER', node, inexactNumber(node.source ?? ''), 'put it in quotes if it is a name');
      }
    },
    Map(_, map) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const key = keyOf(pair);
        if (key === '__proto__') add('REMIT_CHARTER_UNKNOWN_FIELD', pair.key, '`__proto__` is not a name');
        if (seen.has(key)) add('REMIT_CHARTER_DUPLICATE_KEY', pair.key, `\`${key}\` is given twice`);
        seen.add(key);
      }
    },
  });
  return problems;
}

/** After one mistake YAML reads the rest of the line wrongly, which helps nobody. */
function firstPerLine(problems: readonly CharterProblem[]): CharterProblem[] {
  const lines = new Set<number>();
  return problems
    .toSorted((one, other) => one.column - other.column)
    .filter(({ line }) => !lines.has(line) && lines.add(line));
}

function tooDeep(): CharterProblem {
  return problem('REMIT_CHARTER_NOT_YAML', START, [], 'is nested too deeply to be read');
}

/**
 * Reads the YAML of a charter. Never throws: a text that is too large, not YAML, nested without end, or uses
 * aliases, tags, repeated keys or several documents comes back with problems.
 */
export function readCharterSource(text: string): CharterReading {
  const bytes = utf8Bytes(text);
  if (bytes > MAX_CHARTER_BYTES) {
    const message = `has ${bytes} bytes; a charter may have ${MAX_CHARTER_BYTES}`;
    return { ok: false, problems: [problem('REMIT_CHARTER_TOO_LARGE', START, [], message)] };
  }
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      // Checked here instead: the library compares every key with every other.
      uniqueKeys: false,
      // `silent` would hide that there are several documents.
      logLevel: 'error',
    });
    const errors = [...document.errors, ...document.warnings];
    if (errors.some((error) => error.message.includes('call stack'))) return { ok: false, problems: [tooDeep()] };
    const problems = firstPerLine([
      ...problemsOfNodes(document, lines),
      ...errors.map((error) => problemOfYaml(error, lines)),
    ]);
    if (problems.length > 0) return { ok: false, problems };
    return { ok: true, source: sourceOf(document, lines) };
  } catch {
    // The library recurses: absurd nesting ends here, if not as one of its errors.
    return { ok: false, problems: [tooDeep()] };
  }
}

function sourceOf(document: Document.Parsed, lines: LineCounter): CharterSource {
  const pairs = new Map<YAMLMap, Map<string, Pair>>();
  const pairOf = (map: YAMLMap, key: string): Pair | undefined => {
    let known = pairs.get(map);
    if (known === undefined) {
      known = new Map(map.items.map((pair) => [keyOf(pair), pair]));
      pairs.set(map, known);
    }
    return known.get(key);
  };
  const placeOf = (path: CharterPath, at: 'key' | 'value'): number => {
    let node: unknown = document.contents;
    let offset = offsetOf(node) ?? 0;
    for (const [index, step] of path.entries()) {
      if (isMap(node)) {
        const pair = pairOf(node, String(step));
        if (pair === undefined) return offset;
        const isLast = index === path.length - 1;
        const keyOffset = offsetOf(pair.key) ?? offset;
        // A block mapping starts on a line of its own; the line a person looks for is the one with its name.
        offset = isLast && at === 'value' && !isMap(pair.value) ? (offsetOf(pair.value) ?? keyOffset) : keyOffset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        offset = offsetOf(node) ?? offset;
      } else {
        return offset;
      }
    }
    return offset;
  };
  return {
    value: document.toJS(),
    problemAt: (code, path, message, options = {}) =>
      problem(code, lines.linePos(placeOf(path, options.at ?? 'value')), path, message, options.hint),
  };
}
