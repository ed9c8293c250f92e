import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SIGNED_TOPICS } from '#signing';
import { ROOT } from './planted-tree.js';

const text = (...path: string[]): string => readFileSync(join(ROOT, ...path), 'utf8');

/** Titles of tests begin so, in specs, in suites that several specs run, and in cases. */
const TITLE = /['`]promise (\d+)\b/g;

const listed = [...text('docs', 'promises.md').matchAll(/^(\d+)\. \*\*/gm)].map(([, number]) => Number(number));

const named = new Map<number, string[]>();
for (const file of globSync(['{apps,libs,test}/**/*.spec.ts', 'libs/testing/*-suite.ts', 'test/cases/**/*.yaml'], {
  cwd: ROOT,
})) {
  for (const [, number] of text(file).matchAll(TITLE)) {
    named.set(Number(number), [...(named.get(Number(number)) ?? []), file]);
  }
}

describe('what Remit promises', () => {
  it('is a list, numbered without a gap', () => {
    expect(listed.length).toBeGreaterThan(0);
    expect(listed).toEqual(listed.map((_, index) => index + 1));
  });

  it.each(listed)('has a test that names promise %i', (number) => {
    expect(named.get(number) ?? []).not.toEqual([]);
  });

  it('lists every promise that a test names', () => {
    expect([...named.keys()].filter((number) => !listed.includes(number))).toEqual([]);
  });
});

describe('the guide to security', () => {
  it('names every topic whose messages are signed, and no other, where it says what a service signs', () => {
    const [, said = ''] =
      /It signs what it writes to ([^]*?), and re-evaluations/.exec(
        text('docs', 'guide', 'security.md').replaceAll('\n', ' '),
      ) ?? [];
    const topics = [...said.matchAll(/`([a-z.-]+)`/g)].map(([, name]) => name);
    expect(topics.sort()).toEqual([...SIGNED_TOPICS].sort());
  });
});
