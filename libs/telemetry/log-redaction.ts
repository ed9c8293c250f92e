import { ATTRIBUTES } from './span-table.js';

/** What stands where something was left out. */
const REDACTED = '[redacted]';

/** As OpenTelemetry wants it in logs that are not OTLP. */
export const TRACE_ID_FIELD = 'trace_id';

/** Longest text of a line, characters. */
const LONGEST_TEXT = 4096;
const LONGEST_FIELD = 256;

/**
 * The only details that a log line shows, by the names that logs and spans share: identifiers and positions. Whatever
 * is not here is left out and counted, so that a field nobody thought of shows nothing.
 */
export const LOG_FIELDS: ReadonlyMap<string, string> = new Map([
  ['traceId', TRACE_ID_FIELD],
  ['agentId', ATTRIBUTES.agentId.name],
  ['chainId', ATTRIBUTES.chainId.name],
  ['intentId', ATTRIBUTES.intentId.name],
  ['decisionId', ATTRIBUTES.decisionId.name],
  ['requestId', ATTRIBUTES.requestId.name],
  ['actionType', ATTRIBUTES.actionType.name],
  ['actionTarget', ATTRIBUTES.actionTarget.name],
  ['actionDigest', ATTRIBUTES.actionDigest.name],
  ['charterDigest', ATTRIBUTES.charterDigest.name],
  ['outcome', ATTRIBUTES.outcome.name],
  ['rule', ATTRIBUTES.rule.name],
  ['layer', ATTRIBUTES.layer.name],
  ['topic', ATTRIBUTES.destination.name],
  ['partition', ATTRIBUTES.partition.name],
  ['offset', ATTRIBUTES.offset.name],
  ['firstOffset', ATTRIBUTES.offset.name],
  ['group', ATTRIBUTES.group.name],
  ['groupId', ATTRIBUTES.group.name],
  ['namespace', 'remit.client.part'],
]);

/** The details that may be shown. How many may not is told in `redacted`; their names are not, as agents choose names. */
export function shownFields(details: object, clean: (text: string) => string = scrub): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  let redacted = 0;
  for (const [key, value] of Object.entries(details) as [string, unknown][]) {
    if (value === undefined) continue;
    const name = LOG_FIELDS.get(key);
    const plain = plainValue(value);
    if (name === undefined || plain === undefined) redacted += 1;
    else shown[name] = typeof plain === 'string' ? shorten(clean(plain), LONGEST_FIELD) : plain;
  }
  if (redacted > 0) shown['redacted'] = redacted;
  return shown;
}

function plainValue(value: unknown): string | number | boolean | undefined {
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

// What follows such a name is a secret or what an agent wrote, and nothing says where it ends: quotes and brackets
// within it may be its own. No pattern here has two ways to match the same text, so each takes time linear in it.
const NAMES_OF_SECRETS =
  'password|passwd|passphrase|pwd|secrets?|tokens?|authorization|cookies?|credentials?|api[-_]?keys?|private[-_]?keys?|' +
  'webhook-signature|parameters?|values?|bytes|payload|body';
/** The name of a secret with what separates it from its value; not the last word of an error's code. */
const AFTER_ITS_NAME = new RegExp(
  `(?<!REMIT_[A-Z0-9_]{0,60})(?:${NAMES_OF_SECRETS})[\\\\"'\`\\]]{0,8}\\s{0,8}[:=]`,
  'i',
);
/** A private member of a JWK: https://www.rfc-editor.org/rfc/rfc7518#section-6 */
const JWK_MEMBER = /["'](?:d|k|p|q|dp|dq|qi|oth)[\\"']{1,4}\s{0,8}:/;
/** Node quotes the text that it could not parse, PostgreSQL the value that does not fit its column. */
const QUOTED_INPUT = /Unexpected (?:token|non-whitespace)|invalid input syntax|Failing row/;
const KEY_BLOCK = /-----BEGIN /;
const CUT_AFTER: readonly RegExp[] = [AFTER_ITS_NAME, JWK_MEMBER, QUOTED_INPUT, KEY_BLOCK];

const OBJECT = /[{[]\s{0,8}\\{0,4}["']|\{\s{0,8}[\w$]{1,64}:/g;
/** What we write into messages ourselves: names of ours, each with a count. */
const COUNTS = /\{(?:"[a-z-]{1,40}":\d{1,15},?){1,20}\}/y;

const BY_SHAPE: readonly RegExp[] = [
  /eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}/g,
  /whsec_[A-Za-z0-9+/=_-]*/g,
  /\b(?:bearer|basic)\s{1,8}[A-Za-z0-9._~+/=-]{6,}/gi,
];

/**
 * A text without secrets and without what agents wrote: credentials in addresses, tokens and webhook secrets by their
 * shape; and from the first name of a secret, key, JSON object or quoted input on, nothing at all. Takes linear time.
 */
export function scrub(text: string, secrets: readonly string[] = []): string {
  let scrubbed = text;
  for (const secret of secrets) scrubbed = scrubbed.replaceAll(secret, REDACTED);
  scrubbed = withoutCredentials(cut(scrubbed));
  for (const shape of BY_SHAPE) scrubbed = scrubbed.replace(shape, REDACTED);
  return shorten(scrubbed, LONGEST_TEXT);
}

function cut(text: string): string {
  let end = text.length;
  for (const pattern of CUT_AFTER) {
    const found = pattern.exec(text);
    if (found !== null) end = Math.min(end, found.index + found[0].length);
  }
  for (const { index } of text.matchAll(OBJECT)) {
    if (index >= end) break;
    COUNTS.lastIndex = index;
    if (!COUNTS.test(text)) end = index;
  }
  return end === text.length ? text : `${text.slice(0, end)} ${REDACTED}`;
}

const END_OF_ADDRESS = /[\s"'`<>]/g;
/** How our own messages say what an address looks like. */
const PLACEHOLDER = 'user:password';

/** A password may hold the signs that end the host of an address: so what goes is everything up to the last `@`. */
function withoutCredentials(text: string): string {
  let done = '';
  let from = 0;
  for (let mark = text.indexOf('://'); mark !== -1; mark = text.indexOf('://', from)) {
    const start = mark + 3;
    END_OF_ADDRESS.lastIndex = start;
    const end = END_OF_ADDRESS.exec(text)?.index ?? text.length;
    const address = text.slice(start, end);
    const at = address.lastIndexOf('@');
    const isShown = at === -1 || address.slice(0, at) === PLACEHOLDER;
    done += text.slice(from, start) + (isShown ? address : REDACTED + address.slice(at));
    from = end;
  }
  return done + text.slice(from);
}

function shorten(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}
