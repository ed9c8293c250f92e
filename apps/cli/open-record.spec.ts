import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

/** What opens the record, as libs/record offers it. */
const OPENERS = ['PostgresHistory', 'ProvenRecord', 'Projections', 'RecordKeeping'];
const DOOR = 'open-record.ts';

/** The openers that a file takes from libs/record by value. */
function openersIn(source: string): string[] {
  const imports = [...source.matchAll(/import (?!type)\{([^}]*)\} from '#record'/g)].map(([, names]) => names ?? '');
  const names = imports.flatMap((list) => list.split(',').map((name) => name.trim().split(' as ')[0] ?? ''));
  return names.filter((name) => OPENERS.includes(name));
}

describe('the record has one door in the command line', () => {
  const files = readdirSync(import.meta.dirname).filter((name) => /(?<!\.spec)\.ts$/.test(name));
  const sourceOf = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');

  it.each(files.filter((name) => name !== DOOR))('%s cannot read the record without saying so', (name) => {
    expect(openersIn(sourceOf(name))).toEqual([]);
    expect(sourceOf(name)).not.toContain("import('#record')");
  });

  it('a command that opened it by itself would be found', () => {
    expect(openersIn(sourceOf(DOOR)).sort()).toEqual([...OPENERS].sort());
    expect(openersIn("import {\n  recordedGaps,\n  PostgresHistory as Quietly,\n} from '#record';")).toEqual([
      'PostgresHistory',
    ]);
    expect(openersIn("import type { ProvenRecord } from '#record';\nimport { type History } from '#record';")).toEqual(
      [],
    );
  });
});
