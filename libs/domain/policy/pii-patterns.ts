import { parsePhoneNumberFromString } from 'libphonenumber-js/min';
import {
  ibanLength,
  isAhvNumber,
  isCardNumber,
  isCodiceFiscale,
  isCpf,
  isDni,
  isHenkilotunnus,
  isIban,
  isNationalInsuranceNumber,
  isNir,
  isPersonnummer,
  isSocialSecurityNumber,
} from './pii-checks.js';
import type { PiiKind } from './pii-names.js';

/** Takes down what was found. */
export type Found = (kind: PiiKind) => void;

/** What may still be looked at in one intent. */
export interface PiiBudget {
  /** How often the phone library may be asked; each question costs some ten microseconds. */
  questions: number;
  /** How many texts of the form of an address, a number or an id may be checked. */
  candidates: number;
}

/** Whether one more may be checked; if not, the text counts as not looked at. */
function mayCheck(budget: PiiBudget, found: Found): boolean {
  budget.candidates -= 1;
  if (budget.candidates >= 0) return true;
  found('unscanned');
  return false;
}

const INVISIBLE = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu;
const DASHES = /[\u2010-\u2015\u2043\u2212\ufe58]/g;
const BLANKS = /[\p{Zs}\u2028\u2029]/gu;
const FOREIGN_DIGITS = /(?![0-9])\p{Nd}/gu;

/** The digit that a character of another script stands for: those of a script lie side by side, from 0. */
function digitOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  let zero = code;
  while (code - zero < 9 && /\p{Nd}/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String(code - zero);
}

/**
 * A text in the letters that patterns know: full-width digits and those of other scripts, blanks that do not break, other
 * hyphens and what nobody sees do not hide a number.
 */
export function plainForm(text: string): string {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  return text
    .normalize('NFKC')
    .replace(INVISIBLE, '')
    .replace(DASHES, '-')
    .replace(BLANKS, ' ')
    .replace(FOREIGN_DIGITS, digitOf);
}

/** Mailboxes of an office, not of a person. */
const ROLES = new Set(
  (
    'noreply no-reply donotreply do-not-reply info support sales admin administrator postmaster webmaster hostmaster abuse ' +
    'help helpdesk contact office billing service services security root git mailer-daemon alerts notifications kontakt'
  ).split(' '),
);

/** What comes after the last dot of a file, not of a host. */
const FILE_ENDINGS = new Set('png jpg jpeg gif svg webp ico css js ts mjs json yaml yml md txt html map'.split(' '));

const LONGEST_LOCAL_PART = 64;
const LONGEST_DOMAIN = 253;
const LONGEST_USER_INFO = 128;

function isAlphanumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code > 127;
}

/** Letters, digits and `. _ % + - '` of the part before the `@`. */
function isLocal(code: number): boolean {
  return isAlphanumeric(code) || code === 46 || code === 95 || code === 37 || code === 43 || code === 45 || code === 39;
}

function isDomain(code: number): boolean {
  return isAlphanumeric(code) || code === 46 || code === 45;
}

/** `org-4711@github.com:octo/repo.git` is where a repository lies. */
function isRepository(text: string, local: string, end: number): boolean {
  if (text[end] !== ':') return false;
  const [path = ''] = /^[\w.~/-]+/.exec(text.slice(end + 1, end + 1 + LONGEST_USER_INFO)) ?? [];
  return path.includes('/') && (path.endsWith('.git') || /^org-\d+$/.test(local));
}

/** `postgres://app:secret@db.internal` names a login, not a mailbox. */
function isUserInfo(text: string, start: number): boolean {
  const before = text.slice(Math.max(0, start - LONGEST_USER_INFO), start);
  return /:\/\/[^/?#\s]*$/.test(before);
}

function isMailbox(text: string, at: number): boolean {
  let start = at;
  while (start > 0 && at - start < LONGEST_LOCAL_PART && isLocal(text.charCodeAt(start - 1))) start -= 1;
  let end = at + 1;
  while (end < text.length && end - at <= LONGEST_DOMAIN && isDomain(text.charCodeAt(end))) end += 1;
  const local = text.slice(start, at).replace(/^['.]+/, '');
  const labels = text
    .slice(at + 1, end)
    .replace(/[.-]+$/, '')
    .toLowerCase()
    .split('.');
  const ending = labels.at(-1) ?? '';
  if (local === '' || labels.length < 2 || labels.includes('')) return false;
  if (!/^(?:\p{L}{2,}|xn--[a-z0-9-]+)$/u.test(ending) || FILE_ENDINGS.has(ending)) return false;
  if (ROLES.has(local.toLowerCase().split('+', 1)[0] ?? '') || isRepository(text, local, end)) return false;
  return !isUserInfo(text, start);
}

function findMailboxes(text: string, budget: PiiBudget, found: Found): void {
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    if (!mayCheck(budget, found)) return;
    if (isMailbox(text, at)) {
      found('email');
      return;
    }
  }
}

const IBAN_SEPARATORS = ' -_.';

function findIbans(text: string, budget: PiiBudget, found: Found): void {
  for (const { index } of text.matchAll(/(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}/g)) {
    const length = ibanLength(text.slice(index, index + 2).toUpperCase());
    if (length === undefined) continue;
    if (!mayCheck(budget, found)) return;
    let iban = '';
    let position = index;
    for (; iban.length < length && position < text.length; position += 1) {
      const character = text.charAt(position);
      if (/[A-Za-z0-9]/.test(character)) iban += character.toUpperCase();
      else if (!IBAN_SEPARATORS.includes(character) || IBAN_SEPARATORS.includes(text.charAt(position - 1))) break;
    }
    if (iban.length === length && !isAlphanumeric(text.charCodeAt(position)) && isIban(iban)) {
      found('iban');
      return;
    }
  }
}

/** A number written with blanks, dots or hyphens between its groups, on its own: no letter or digit touches it. */
const WRITTEN_NUMBER = /(?<![A-Za-z0-9.+*-])\d{1,19}(?:[ .-]\d{1,19}){0,7}(?![A-Za-z0-9*]|-[A-Za-z0-9])/g;

function shapeOf(written: string): string {
  return written.replace(/\d+/g, (group) => String(group.length));
}

const CARD_SHAPES = /^(?:1[3-9]|4 4 4 4(?: [1-3])?|4-4-4-4(?:-[1-3])?|4 6 [45]|4-6-[45])$/;

function kindOfNumber(written: string, countsThings: boolean): PiiKind | undefined {
  const digits = written.replace(/\D/g, '');
  const shape = shapeOf(written);
  if (CARD_SHAPES.test(shape) && isCardNumber(digits) && !(countsThings && shape === String(digits.length))) {
    return 'card-number';
  }
  if (shape === '3-2-4' && isSocialSecurityNumber(digits)) return 'national-id';
  if (shape === '3.3.3-2' && isCpf(digits)) return 'national-id';
  if ((shape === '3.4.4.2' || shape === '13') && !countsThings && isAhvNumber(digits)) return 'national-id';
  if ((shape === '1 2 2 2 3 3 2' || shape === '15' || shape === '13 2') && !countsThings && isNir(digits))
    return 'national-id';
  if (shape === '6-4' && isPersonnummer(digits)) return 'national-id';
  return undefined;
}

function findNumbers(text: string, countsThings: boolean, budget: PiiBudget, found: Found): void {
  for (const [written] of text.matchAll(WRITTEN_NUMBER)) {
    const digits = written.replace(/\D/g, '').length;
    if (digits < 9 || digits > 19) continue;
    if (!mayCheck(budget, found)) return;
    const kind = kindOfNumber(written, countsThings);
    if (kind !== undefined) found(kind);
  }
}

/** Identity numbers that mix letters and digits. */
const LETTERED_IDS: readonly (readonly [RegExp, (text: string) => boolean])[] = [
  [/(?<![A-Za-z0-9])(?:\d{8}|[XYZ]-?\d{7})-?[A-Z](?![A-Za-z0-9])/g, isDni],
  [/(?<![A-Za-z0-9])[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z0-9])/g, isNationalInsuranceNumber],
  [/(?<![A-Za-z0-9])[A-Za-z]{6}\d{2}[A-Za-z]\d{2}[A-Za-z]\d{3}[A-Za-z](?![A-Za-z0-9])/g, isCodiceFiscale],
];
const FINNISH_ID = /(?<![A-Za-z0-9])\d{6}[-+A-FU-Y]\d{3}[0-9A-Y](?![A-Za-z0-9])/g;

function findLetteredIds(text: string, budget: PiiBudget, found: Found): void {
  for (const [pattern, check] of LETTERED_IDS) {
    for (const [written] of text.matchAll(pattern)) {
      if (!mayCheck(budget, found)) return;
      if (check(written.replace(/[ -]/g, '').toUpperCase())) found('national-id');
    }
  }
  for (const [written] of text.matchAll(FINNISH_ID)) {
    if (!mayCheck(budget, found)) return;
    if (isHenkilotunnus(written)) found('national-id');
  }
}

const INTERNATIONAL_PHONE = /(?<![A-Za-z0-9+])(?:\+|00)[1-9][\d ()./-]{5,24}/g;
const ANNOUNCED_PHONE =
  /(?<!\p{L})(?:tel|telefon|telephone|phone|mobile|mobil|handy|fax|cell|call|téléphone|teléfono|móvil|rückruf)(?!\p{L})[^\d+\n(]{0,12}(\(?\d[\d ()./-]{5,18}\d)/giu;

function isPhone(written: string, budget: PiiBudget): boolean {
  for (let candidate = written.replace(/^00/, '+'), tries = 0; tries < 3; tries += 1) {
    const digits = candidate.replace(/\D/g, '').length;
    if (digits < 8) return false;
    if (digits <= 15) {
      budget.questions -= 1;
      if (parsePhoneNumberFromString(candidate)?.isValid() === true) return true;
    }
    // What follows the number, such as a year, may have been taken for its last group.
    candidate = candidate.trimEnd().replace(/[ ()./-]+\d*$/, '');
  }
  return false;
}

function findPhones(text: string, budget: PiiBudget, found: Found): void {
  const international = text.includes('+') || text.includes('00');
  for (const [written] of international ? text.matchAll(INTERNATIONAL_PHONE) : []) {
    if (budget.questions <= 0) {
      found('unscanned');
      return;
    }
    if (isPhone(written, budget)) {
      found('phone');
      return;
    }
  }
  if (!/\p{L}/u.test(text)) return;
  for (const [, written = ''] of text.matchAll(ANNOUNCED_PHONE)) {
    const digits = written.replace(/\D/g, '');
    if (digits.length < 7 || digits.length > 15 || !(/^[(0]/.test(written) || digits.length >= 9)) continue;
    found('phone');
    return;
  }
}

const BIRTH =
  /(?<!\p{L})(?:born|geboren|geb|née|né|nacid[oa]|nació|nat[oa] il|geboortedatum|dob|date of birth|birth ?date|geburtsdatum)(?!\p{L})[^\d\n]{0,20}(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2}|\d{1,2}(?:st|nd|rd|th)?,? +\d{4}|\d{1,2}(?:st|nd|rd|th|er|\.)? (?:de )?\p{L}{3,10}\.?,? (?:de )?\d{4})(?!\d)/iu;
const PASSPORT =
  /(?<!\p{L})(?:passport|reisepass|passeport|pasaporte|passaporto)(?!\p{L})[^\p{L}\d\n]{0,3}(?:no|nr|num|number|nummer|numéro|número|numero)?[^\p{L}\d\n]{0,4}([A-Z0-9]{6,9})(?![\p{L}\d])/iu;

/** What the shortest text may hold. */
const SHORTEST = 6;

/** Times and UUIDs, which most parameters with digits are, hold nothing. */
const PLAIN =
  /^(?:\d{4}-\d\d-\d\d(?:[T ][\d:.]{5,18}(?:Z|[+-]\d\d:?\d\d)?)?|[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12})$/i;

/** Something of every lettered id, looked for once before each pattern is. */
const HINT_OF_LETTERED_ID = /\d{7}-?[A-Z]|[A-Z]{2} ?\d\d ?\d\d|[A-Za-z]{6}\d\d[A-Za-z]\d\d|\d{6}[-+A-FU-Y]\d{3}/;

/**
 * Finds personal data in a text by its own form: addresses, numbers with check digits, phone numbers, and births and
 * passports that the text announces. Every pattern looks at each character a bounded number of times.
 */
export function findInText(text: string, countsThings: boolean, budget: PiiBudget, found: Found): void {
  if (text.length < SHORTEST) return;
  let digits = 0;
  /** Digits of the longest run in which nothing but one separator stands between two. */
  let longestRun = 0;
  let run = 0;
  let sinceDigit = 2;
  let at = false;
  let blank = false;
  let underscore = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code >= 48 && code <= 57) {
      digits += 1;
      run = sinceDigit > 1 ? 1 : run + 1;
      sinceDigit = 0;
      if (run > longestRun) longestRun = run;
      continue;
    }
    sinceDigit += 1;
    if (code === 64) at = true;
    else if (code === 32) blank = true;
    else if (code === 95) underscore = true;
    else if (code !== 45 && code !== 46) sinceDigit = 2;
  }
  if (at) findMailboxes(text, budget, found);
  if (digits < 4 || PLAIN.test(text)) return;
  if (blank) {
    if (BIRTH.test(text)) found('date-of-birth');
    const passport = PASSPORT.exec(text)?.[1];
    if (passport !== undefined && passport.replace(/\D/g, '').length >= 4) found('passport');
  }
  if (digits < 6) return;
  const grouped = underscore ? text.replace(/(?<=\d)_(?=\d)/g, '-') : text;
  if (HINT_OF_LETTERED_ID.test(grouped)) findLetteredIds(grouped, budget, found);
  if (digits >= 7) findPhones(grouped, budget, found);
  if (digits >= 10) findIbans(text, budget, found);
  if (longestRun >= 9) findNumbers(grouped, countsThings, budget, found);
}
