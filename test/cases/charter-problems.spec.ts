import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { sha256 } from '#contracts';
import { CHARTER_PROBLEM_CODES, checkCharter } from '#domain';

const wantedSchema = z.strictObject({
  line: z.int(),
  code: z.enum(CHARTER_PROBLEM_CODES),
  path: z.string().optional(),
  message: z.string().optional(),
  hint: z.string().optional(),
});
const caseSchema = z.strictObject({
  name: z.string(),
  text: z.string(),
  rest: z.string().optional(),
  problems: z.array(wantedSchema).optional(),
  warnings: z.array(wantedSchema).optional(),
});
const file = join(import.meta.dirname, 'refused-charters.charter-problems.yaml');
const { rest, charters } = z
  .strictObject({ rest: z.string(), charters: z.array(caseSchema) })
  .parse(parse(readFileSync(file, 'utf8')));

describe('a charter is refused with all its problems, each with its line', () => {
  it.each(charters)('$name', (given) => {
    const checked = checkCharter(given.text + (given.rest ?? rest), sha256);
    const wanted = given.problems ?? given.warnings ?? [];
    expect(checked.ok).toBe(given.problems === undefined);
    const found = checked.ok ? checked.warnings : checked.problems;
    const ordered = [...wanted].sort((one, other) => one.line - other.line || one.code.localeCompare(other.code));
    const sorted = [...found].sort((one, other) => one.line - other.line || one.code.localeCompare(other.code));
    expect(sorted.map(({ line, code }) => `${line} ${code}`)).toEqual(
      ordered.map(({ line, code }) => `${line} ${code}`),
    );
    for (const { line, code, path, message, hint } of wanted) {
      const alike = found.filter((problem) => problem.line === line && problem.code === code);
      expect(alike).toContainEqual(
        expect.objectContaining({
          ...(path === undefined ? {} : { path }),
          ...(message === undefined ? {} : { message: expect.stringContaining(message) }),
          ...(hint === undefined ? {} : { hint: expect.stringContaining(hint) }),
        }),
      );
    }
  });

  it('lists problems in the order of their lines', () => {
    for (const { text, rest: own } of charters) {
      const checked = checkCharter(text + (own ?? rest), sha256);
      const lines = (checked.ok ? checked.warnings : checked.problems).map(({ line }) => line);
      expect(lines).toEqual(lines.toSorted((one, other) => one - other));
    }
  });

  it('shows every code but those of expressions, which have cases of their own', () => {
    const shown = new Set<string>();
    for (const { problems = [], warnings = [] } of charters) {
      for (const { code } of [...problems, ...warnings]) shown.add(code);
    }
    const missing = CHARTER_PROBLEM_CODES.filter((code) => !shown.has(code) && !code.includes('_EXPRESSION_'));
    expect(missing).toEqual(['REMIT_CHARTER_TOO_LARGE']);
  });
});
