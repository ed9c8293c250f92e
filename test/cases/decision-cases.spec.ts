import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { decideCase, differencesFrom, loadDecisionCasesIn } from '#cases';

const folders = [import.meta.dirname, join(import.meta.dirname, '../../charters')];

describe.each(folders.flatMap((folder) => loadDecisionCasesIn(folder)))('$charter.name', ({ charter, cases }) => {
  it.each(cases)('$name', (given) => {
    expect(differencesFrom(given, decideCase(charter, given))).toEqual([]);
  });
});
