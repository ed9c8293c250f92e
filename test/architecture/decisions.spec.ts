import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const FOLDER = join('docs', 'adr');
const NAME = /^(\d{4})-[a-z0-9-]+\.md$/;
const ENTRY = /^- \[(\d+)\. (.+)\]\((\S+)\): \S/gm;

const files = readdirSync(FOLDER)
  .filter((name) => name !== 'README.md')
  .sort();
const textOf = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');

describe('architecture decision records', () => {
  it('are all in the index, in order and by their titles, and the index lists nothing else', () => {
    const listed = [...textOf('README.md').matchAll(ENTRY)].map(([, number, title, file]) => ({ number, title, file }));
    const present = files.map((file) => {
      const [number = '', title = ''] = /^# (\d+)\. (.+)$/m.exec(textOf(file))?.slice(1) ?? [];
      return { number, title, file };
    });
    expect(listed).toEqual(present);
  });

  it('have numbers of their own', () => {
    const numbers = files.map((file) => NAME.exec(file)?.[1]);
    expect(new Set(numbers).size).toBe(files.length);
    expect(numbers).not.toContain(undefined);
  });

  it.each(files)(
    '%s has its number in its title, says the context, what was before, the decision and what it costs',
    (file) => {
      const text = textOf(file);
      expect(Number(/^# (\d+)\. /.exec(text)?.[1])).toBe(Number(NAME.exec(file)?.[1]));
      expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
        'Context',
        'Decision',
        'What it costs',
      ]);
      const context = text.slice(text.indexOf('## Context'), text.indexOf('## Decision'));
      expect(context).toMatch(/^\*\*Before\.\*\* \S/m);
    },
  );
});
