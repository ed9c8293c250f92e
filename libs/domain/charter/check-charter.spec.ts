import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { sha256 } from '#contracts';
import { checkCharter } from './check-charter.js';
import { evolveCharter, type CharterInForce } from './charter-in-force.js';
import type { Charter } from './charter.js';
import type { CharterEvent } from './charter-events.js';

const examples = join(import.meta.dirname, '../../../charters');
const smallest = 'charter: small\nstage: enforce\nsystems: {}\nagents: {}\n';

function accepted(text: string): Charter {
  const checked = checkCharter(text, sha256);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  return checked.charter;
}

function refusedWith(text: string): string[] {
  const checked = checkCharter(text, sha256);
  return checked.ok ? [] : checked.problems.map(({ code }) => code);
}

describe('the charters that come with Remit', () => {
  const files = readdirSync(examples).filter((file) => file.endsWith('.yaml') && !file.endsWith('.cases.yaml'));
  it.each(files)('%s is accepted without a warning', (file) => {
    const checked = checkCharter(readFileSync(join(examples, file), 'utf8'), sha256);
    expect(checked).toMatchObject({ ok: true, warnings: [] });
  });
});

describe('the digest of a charter', () => {
  it('covers what the charter says, not how it is laid out', () => {
    const relaid = '# a comment\nagents: {}\nsystems: { }\nstage: "enforce"\ncharter: small\n';
    expect(accepted(relaid).digest).toBe(accepted(smallest).digest);
  });

  it('changes with every word of it', () => {
    expect(accepted(smallest.replace('enforce', 'observe')).digest).not.toBe(accepted(smallest).digest);
    expect(accepted(`${smallest}lists: { a: [b] }\n`).digest).not.toBe(accepted(smallest).digest);
  });
});

describe('checking a charter', () => {
  it('gives a decision thirty seconds unless the charter says otherwise', () => {
    expect(accepted(smallest).decisionTtlMs).toBe(30_000);
    expect(accepted(`${smallest}decision_ttl: 2m\n`).decisionTtlMs).toBe(120_000);
  });

  it('refuses a text of more than 256 KiB unread', () => {
    expect(refusedWith(`${smallest}#${'x'.repeat(256 * 1024)}`)).toEqual(['REMIT_CHARTER_TOO_LARGE']);
    expect(refusedWith(`${smallest}#${'€'.repeat(90 * 1024)}`)).toEqual(['REMIT_CHARTER_TOO_LARGE']);
  });

  it('refuses endless nesting without falling over', () => {
    expect(refusedWith('['.repeat(20_000))).toEqual(['REMIT_CHARTER_NOT_YAML']);
    expect(refusedWith('- '.repeat(20_000))).toEqual(['REMIT_CHARTER_NOT_YAML']);
  });

  it('refuses text that has no bytes in UTF-8', () => {
    expect(refusedWith(`${smallest}lists: { a: ["\\ud800"] }\n`)).toEqual(['REMIT_CHARTER_NOT_YAML']);
  });

  it('never throws, whatever it is given', () => {
    const text = readFileSync(join(examples, 'fintech-production.yaml'), 'utf8');
    const damaged = fc
      .tuple(fc.nat(text.length), fc.nat(40), fc.string({ unit: 'binary', maxLength: 12 }))
      .map(([from, length, inserted]) => text.slice(0, from) + inserted + text.slice(from + length));
    fc.assert(
      fc.property(fc.oneof(damaged, fc.string({ unit: 'binary' })), (given) => {
        const checked = checkCharter(given, sha256);
        expect(checked.ok || checked.problems.length > 0).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the charter in force', () => {
  const activation = (text: string, change: Partial<CharterEvent> = {}): CharterEvent => {
    const { name, digest } = accepted(smallest);
    return { event: 'CharterActivated', charter: name, digest, text, activatedBy: 'owner@bank.example', ...change };
  };
  const before = evolveCharter(undefined, activation(smallest), sha256);

  it('is the one that was activated', () => {
    expect(before).toMatchObject({ charter: { name: 'small' }, activatedBy: 'owner@bank.example' });
  });

  it('is replaced by the next one', () => {
    const text = smallest.replace('enforce', 'observe');
    const after = evolveCharter(before, activation(text, { digest: accepted(text).digest }), sha256);
    expect(after?.charter.stage).toBe('observe');
  });

  it('does not come back when its command is sent again, or its event is copied, after another one took its place', () => {
    const first = activation(smallest, { commandId: 'k1' });
    const text = smallest.replace('enforce', 'observe');
    const second = activation(text, { digest: accepted(text).digest, commandId: 'k2' });
    const replaced = [first, second].reduce<CharterInForce | undefined>(
      (state, event) => evolveCharter(state, event, sha256),
      undefined,
    );
    expect(replaced?.charter.stage).toBe('observe');
    expect(evolveCharter(replaced, first, sha256)).toBe(replaced);
    expect(evolveCharter(replaced, { ...second, commandId: 'k1' }, sha256)).toBe(replaced);
    expect(evolveCharter(replaced, { ...first, commandId: 'k3' }, sha256)?.charter.stage).toBe('enforce');
  });

  it.each([
    ['does not check', activation('charter: [')],
    ['has another digest than its event says', activation(smallest.replace('enforce', 'observe'))],
    ['has another name than its event says', activation(smallest, { charter: 'other' })],
  ])('stays when the next one %s', (_, event) => {
    expect(evolveCharter(before, event, sha256)).toBe(before);
    expect(evolveCharter(undefined, event, sha256)).toBeUndefined();
  });
});
