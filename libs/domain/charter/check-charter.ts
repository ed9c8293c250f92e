import { z } from 'zod';
import { digestOf, type Sha256 } from '../record/digest.js';
import { charterDocumentSchema } from './charter-document.js';
import { reportMeaning } from './charter-meaning.js';
import { reportShape, type CharterProblem, type Report } from './charter-problems.js';
import { readCharterSource } from './charter-source.js';
import { compileCharter, type Charter } from './charter.js';

export type CharterCheck =
  | { readonly ok: true; readonly charter: Charter; readonly warnings: CharterProblem[] }
  | { readonly ok: false; readonly problems: CharterProblem[] };

/** The document without the sections whose entries are checked one by one, by their kind. */
const outlineSchema = charterDocumentSchema.extend({
  boundaries: z.array(z.unknown()).optional(),
  rollout: z.record(z.string(), z.unknown()).optional(),
});

function inReadingOrder(problems: readonly CharterProblem[]): CharterProblem[] {
  return problems.toSorted((one, other) => one.line - other.line || one.column - other.column);
}

/**
 * Reads, checks and compiles a charter. Never throws: a charter is accepted whole, perhaps with warnings, or refused
 * with every problem it has, in the order of its lines.
 */
export function checkCharter(text: string, sha256: Sha256): CharterCheck {
  const reading = readCharterSource(text);
  if (!reading.ok) return { ok: false, problems: inReadingOrder(reading.problems) };
  const { source } = reading;
  const problems: CharterProblem[] = [];
  const warnings: CharterProblem[] = [];
  const into =
    (list: CharterProblem[]): Report =>
    (code, path, message, options) => {
      list.push(source.problemAt(code, path, message, options));
    };
  reportShape(outlineSchema, source.value, [], into(problems));
  reportMeaning(source.value, into(problems), into(warnings));
  if (problems.length > 0) return { ok: false, problems: inReadingOrder(problems) };
  const document = charterDocumentSchema.parse(source.value);
  return {
    ok: true,
    charter: compileCharter(document, digestOf(source.value, sha256), sha256),
    warnings: inReadingOrder(warnings),
  };
}
