import type { JsonValue } from '../intent/intent.js';
import { isCardNumber } from './pii-checks.js';
import { isOrdinaryName, meaningOfName, type NameMeaning, type PiiKind } from './pii-names.js';
import { findInText, plainForm, type PiiBudget } from './pii-patterns.js';

/** Personal data in the parameters: what and where, never the value. */
export interface PiiFinding {
  readonly kind: PiiKind;
  /** RFC 6901, from the parameters. A name that is not made of ordinary words reads `*`: it could be a value. */
  readonly pointer: string;
}

/** An intent of the largest size fits; more than this is not looked at and counts as personal. */
const MAX_VALUES = 40_000;
const MAX_CHARACTERS = 80_000;
const MAX_DEPTH = 64;

/** Texts of the form of an address, a number or an id that are checked in one action, and questions to the phone library. */
export const MAX_PII_CANDIDATES = 2_000;
const MAX_PHONE_QUESTIONS = 32;

/** So many findings are told; what comes after them is not looked at. */
export const MAX_PII_FINDINGS = 32;

const LONGEST_POINTER = 256;

/** Values that stand for a value: masks, templates, types, and words of queries and forms. */
const STAND_IN =
  /^\s*(?:[[<{$%#*]|(?:string|text|varchar|char|number|int|integer|bigint|float|boolean|bool|date|datetime|timestamp|uuid|required|optional|true|false|yes|no|on|off|asc|desc|null|none|nil|n\/a|na|unknown|any|redacted|masked|hidden|test|todo|tbd|-+)\s*$|[a-z]+\(\d+\)\s*$)|\*{2,}/i;

/** What repositories, packages, hosts and files are called: one word with a sign that no person's name has. */
const TECHNICAL_NAME = /^\s*[^\s]*[/\\:@#=<>{}|][^\s]*\s*$/;

const IP_ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})$/i;

interface Scan {
  readonly findings: PiiFinding[];
  readonly budget: PiiBudget;
  /** There was more than may be looked at, so nothing more is. */
  isCut: boolean;
  valuesLeft: number;
  charactersLeft: number;
}

function digitsIn(text: string): number {
  return text.replace(/\D/g, '').length;
}

/** Whether a value can be what the name of its parameter says. */
function fits(kind: PiiKind, value: string, doubtful: boolean): boolean {
  if (value.trim() === '' || STAND_IN.test(value)) return false;
  switch (kind) {
    case 'name':
      return /\p{L}{2}/u.test(value) && value.length <= 128 && !TECHNICAL_NAME.test(value);
    case 'address':
      return /\p{L}{2}/u.test(value) && /\S\s+\S/.test(value.trim()) && (!doubtful || /\d/.test(value));
    case 'phone':
      return /^[\d\s()+./xXtTeE#-]+$/.test(value) && digitsIn(value) >= 6 && digitsIn(value) <= 17;
    case 'date-of-birth':
      return /\d.*\d/s.test(value) && value.length <= 40;
    case 'national-id':
    case 'passport':
      return /^[\p{L}\d\s./-]{5,32}$/u.test(value) && digitsIn(value) >= 5;
    case 'ip-address':
      return IP_ADDRESS.test(value.trim().split(',', 1)[0] ?? '');
    case 'health':
      return /[\p{L}\d]{2}/u.test(value);
    default:
      return false;
  }
}

/** Where a value lies. The pointer is written only when something is found there. */
interface Place {
  readonly up: Place | undefined;
  readonly step: string | number;
}

const PARAMETERS: Place = { up: undefined, step: '' };

function pointerTo(place: Place): string {
  const steps: string[] = [];
  for (let at = place; at.up !== undefined; at = at.up) {
    const { step } = at;
    steps.push(typeof step === 'number' || isOrdinaryName(step) ? `/${step}` : '/*');
  }
  let pointer = '';
  for (const step of steps.reverse()) {
    if (pointer.length + step.length > LONGEST_POINTER) break;
    pointer += step;
  }
  return pointer;
}

function record(scan: Scan, kind: PiiKind, place: Place): void {
  const { findings } = scan;
  if (scan.isCut) return;
  const pointer = pointerTo(place);
  if (findings.some((finding) => finding.kind === kind && finding.pointer === pointer)) return;
  scan.isCut = kind === 'unscanned' || findings.length >= MAX_PII_FINDINGS;
  findings.push({ kind: scan.isCut ? 'unscanned' : kind, pointer });
}

function visitText(scan: Scan, written: string, meaning: NameMeaning, place: Place): void {
  const text = plainForm(written);
  scan.charactersLeft -= Math.max(text.length, written.length);
  if (scan.charactersLeft < 0) {
    record(scan, 'unscanned', place);
    return;
  }
  if (meaning.kind !== undefined && fits(meaning.kind, text, meaning.doubtful === true))
    record(scan, meaning.kind, place);
  findInText(text, meaning.countsThings === true, scan.budget, (kind) => {
    record(scan, kind, place);
  });
}

function visitNumber(scan: Scan, value: number, meaning: NameMeaning, place: Place): void {
  if (!Number.isInteger(value) || value < 10_000) return;
  const digits = String(value);
  const { kind } = meaning;
  if (kind === 'phone' || kind === 'national-id' || kind === 'passport' || kind === 'date-of-birth') {
    if (fits(kind, digits, false)) record(scan, kind, place);
  }
  if (meaning.countsThings !== true && digits.length >= 13 && isCardNumber(digits)) record(scan, 'card-number', place);
}

/** What the lines of an address are called, in lower case and without signs. */
const ADDRESS_LINE =
  /^(?:street|line|addressline|city|town|zip|zipcode|postcode|postalcode|plz|ort|strasse|ville|ciudad)\d*$/;

/**
 * Whether a mapping under a name such as `homeAddress` holds the lines of one. `address` alone may be of anything, such as a
 * host, so there a line must be called one, or look like one.
 */
function holdsAddress(value: Readonly<Record<string, JsonValue>>, doubtful: boolean): boolean {
  return Object.entries(value).some(([name, inner]) => {
    if (typeof inner !== 'string' || !/\p{L}{2}|\d{4}/u.test(inner) || STAND_IN.test(inner)) return false;
    if (ADDRESS_LINE.test(name.toLowerCase().replace(/[^a-z0-9]/g, ''))) return true;
    return doubtful ? fits('address', inner, true) : /\p{L}{2}/u.test(inner);
  });
}

/** Names that say nothing of their own: the value means what the name above says. */
const PASSES_MEANING_ON = new Set(['value', 'number', 'raw', 'text']);

/** Personal data in the name itself. */
function visitName(scan: Scan, name: string, parent: Place): void {
  const text = plainForm(name);
  if (text.length < 6 || !/[@\d]/.test(text)) return;
  scan.charactersLeft -= Math.max(text.length, name.length);
  findInText(text, false, scan.budget, (kind) => {
    record(scan, kind, parent);
  });
}

function visit(scan: Scan, value: JsonValue, meaning: NameMeaning, place: Place, depth: number): void {
  scan.valuesLeft -= 1;
  if (scan.valuesLeft < 0 || scan.charactersLeft < 0 || depth > MAX_DEPTH) {
    record(scan, 'unscanned', place);
    return;
  }
  if (typeof value === 'string') visitText(scan, value, meaning, place);
  else if (typeof value === 'number') visitNumber(scan, value, meaning, place);
  else if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      if (scan.isCut) return;
      visit(scan, value[index] ?? null, meaning, { up: place, step: index }, depth + 1);
    }
  } else if (typeof value === 'object' && value !== null) {
    if (meaning.kind === 'address' && holdsAddress(value, meaning.doubtful === true)) record(scan, 'address', place);
    for (const name of Object.keys(value)) {
      if (scan.isCut) return;
      const inner = value[name];
      visitName(scan, name, place);
      if (inner === undefined || inner === null || typeof inner === 'boolean') continue;
      const innerMeaning = PASSES_MEANING_ON.has(name) && meaning.kind !== undefined ? meaning : meaningOfName(name);
      visit(scan, inner, innerMeaning, { up: place, step: name }, depth + 1);
    }
  }
}

/**
 * Finds personal data in the parameters of an action, by the names and by the form of the values. Never throws, and
 * does bounded work: what is beyond the bounds is reported as `unscanned`, last, and counts as personal. It can only add to
 * what the agent declared; that it finds nothing proves nothing.
 */
export function detectPii(parameters: Readonly<Record<string, JsonValue>> | undefined): readonly PiiFinding[] {
  if (parameters === undefined) return [];
  const scan: Scan = {
    findings: [],
    budget: { questions: MAX_PHONE_QUESTIONS, candidates: MAX_PII_CANDIDATES },
    isCut: false,
    valuesLeft: MAX_VALUES,
    charactersLeft: MAX_CHARACTERS,
  };
  visit(scan, parameters, {}, PARAMETERS, 0);
  return scan.findings;
}

/** Whether there was more than may be looked at. */
export function isScanCut(findings: readonly PiiFinding[]): boolean {
  return findings.at(-1)?.kind === 'unscanned';
}
