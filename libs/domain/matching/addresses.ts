/** Addresses are short; whatever is longer is no address, and reading it is refused. */
const LONGEST_ADDRESS = 2_048;

const SCHEME = /^([a-z][a-z0-9+.-]{0,31}):/i;

/** Schemes whose addresses a browser reads even when slashes are missing, too many or the wrong way round. */
const WEB_SCHEMES = new Set(['http', 'https', 'ws', 'wss', 'ftp']);

/** Schemes of addresses that name a host, which people also write without slashes (`sftp:host`). */
const HOST_SCHEMES = new Set(
  (
    'abfs abfss amqp amqps cifs ftps git gs hdfs imap imaps jdbc kafka ldap ldaps mongodb mqtt mqtts mysql nats nfs pop ' +
    'pop3 postgres postgresql rdp redis rediss rsync rtmp rtsp s3 scp sftp sip sips smb smtp smtps ssh stun svn tcp telnet ' +
    'tftp turn udp vnc webcal xmpp'
  ).split(' '),
);

/** Characters that a reader may drop, or turn into others, so that two readers see two addresses. */
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f]/;

/** What a browser drops anywhere in an address, and what it drops at its ends. */
const DROPPED = /[\t\n\r]/g;
// eslint-disable-next-line no-control-regex
const DROPPED_AT_ENDS = /^[\x00-\x20]+|[\x00-\x20]+$/g;

const DIRECTORY_OF_A_DRIVE = /^[a-z]:[\\/]/i;

/** A host name of one label, such as the name of a system. */
const ONE_LABEL = /^[a-z0-9_-]+$/i;

const CLOSING: Readonly<Partial<Record<string, string>>> = {
  '"': '"',
  "'": "'",
  '`': '`',
  '<': '>',
  '(': ')',
  '[': ']',
  '{': '}',
};

/** How a text is read as an address. */
export interface AddressReading {
  /** Every host that a program may find in it, in the form of a URL. None: it addresses none. */
  readonly hosts: ReadonlySet<string>;
  /** Two programs could read two hosts in it, so that no rule about its host can be trusted. */
  readonly ambiguous: boolean;
}

class Reading implements AddressReading {
  readonly hosts = new Set<string>();
  ambiguous = false;

  add(host: string | undefined): void {
    if (host === undefined) this.ambiguous = true;
    else if (host !== '') this.hosts.add(host);
  }
}

/**
 * The host of an authority such as `user:pw@Bank.Example.:443`, as the URL standard (WHATWG) reads it: lower case,
 * international names in their ASCII form, number tricks such as `0x7f.1` resolved; brackets, port and trailing dots are
 * dropped. Undefined when it is none.
 */
function hostOfAuthority(authority: string): string | undefined {
  const url = URL.parse(`http://${authority}`);
  if (url === null || url.hostname === '') return undefined;
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
}

function authorityOf(text: string): string {
  const end = text.search(/[/?#]/);
  return end === -1 ? text : text.slice(0, end);
}

function readMailbox(text: string, reading: Reading): void {
  const address = /<([^<>]*)>\s*$/.exec(text)?.[1] ?? text;
  const at = address.indexOf('@');
  if (/[,;\s<>"()]/.test(address) || at <= 0 || address.lastIndexOf('@') !== at) reading.ambiguous = true;
  // `git@host:path` names a path after the colon, not a port.
  for (const part of address.split(/[@,;\s<>"()]+/).slice(1)) reading.add(hostOfAuthority(part.split(':', 1)[0] ?? ''));
}

/** `mailto:` may name further recipients in its query. */
function readMailto(rest: string, reading: Reading): void {
  const [mailboxes = '', query = ''] = rest.split('?', 2);
  if (/(^|[&;])(to|cc|bcc)=/i.test(query)) {
    reading.ambiguous = true;
    for (const [, address = ''] of query.matchAll(/(?:^|[&;])(?:to|cc|bcc)=([^&;]*)/gi)) readEncoded(address, reading);
  }
  readEncoded(mailboxes, reading);
}

function readEncoded(mailboxes: string, reading: Reading): void {
  try {
    readMailbox(decodeURIComponent(mailboxes), reading);
  } catch {
    reading.ambiguous = true;
  }
}

/** A backslash is a slash to a browser, and a part of the authority to others. */
function readBackslashes(text: string, reading: Reading): void {
  reading.ambiguous = true;
  const afterScheme = text.replace(SCHEME, '').replace(/^[\\/]+/, '');
  const authority = authorityOf(afterScheme);
  for (const part of [authority.split('\\')[0] ?? '', authority.slice(authority.search(/[\\@][^\\@]*$/) + 1)]) {
    const host = part === '' ? undefined : hostOfAuthority(part);
    if (host !== undefined) reading.add(host);
  }
}

/** `\\host\share`, with `@SSL` or a port behind the host where it is reached over the web. */
function readShare(text: string, reading: Reading): void {
  const [host = ''] = text.replace(/^[\\/]+/, '').split(/[\\/@]/, 1);
  reading.add(hostOfAuthority(host));
}

function unwrapped(text: string): string {
  const closing = CLOSING[text.charAt(0)];
  if (closing === undefined || text.length < 3 || !text.endsWith(closing)) return text;
  // `[2001:db8::1]` is a host.
  if (closing === ']' && hostOfAuthority(text) !== undefined) return text;
  return unwrapped(text.slice(1, -1).trim());
}

function readPrintable(text: string, reading: Reading): void {
  if (DIRECTORY_OF_A_DRIVE.test(text)) return;
  if (/^\\\\[^\\/]/.test(text)) {
    readShare(text, reading);
    return;
  }
  if (text.includes('\\')) {
    readBackslashes(text, reading);
    return;
  }
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined) {
    const rest = text.slice(scheme.length + 1);
    if (scheme === 'mailto') {
      readMailto(rest, reading);
      return;
    }
    const slashes = /^\/*/.exec(rest)?.[0].length ?? 0;
    if (WEB_SCHEMES.has(scheme)) {
      reading.add(hostOfAuthority(authorityOf(rest.slice(slashes))));
      return;
    }
    if (slashes === 2) {
      const authority = authorityOf(rest.slice(2));
      if (authority !== '') reading.add(hostOfAuthority(authority));
      return;
    }
    // `host:8443` and `host:8443/path` look like a scheme to a reader of URLs.
    if (!/^\d{1,5}([/?#]|$)/.test(rest)) {
      const authority = authorityOf(rest.slice(slashes));
      if (authority.includes('@')) readMailbox(authority, reading);
      else if (HOST_SCHEMES.has(scheme) && authority !== '') reading.add(hostOfAuthority(authority));
      return;
    }
  }
  if (text.startsWith('//')) {
    reading.add(hostOfAuthority(authorityOf(text.replace(/^\/+/, ''))));
    return;
  }
  const authority = authorityOf(text);
  if (authority.includes('@')) readMailbox(authority, reading);
  else if (ONE_LABEL.test(authority)) reading.add(authority.toLowerCase());
  else if (!/\s/.test(authority)) reading.add(hostOfAuthority(authority) ?? '');
}

/**
 * Reads a text as the address of a host: a URL, an e-mail address, a share, or a host with or without port and path. Takes
 * time linear in the text.
 */
export function readAddress(text: string): AddressReading {
  const reading = new Reading();
  const trimmed = text.trim();
  if (trimmed === '') return reading;
  if (trimmed.length > LONGEST_ADDRESS) {
    reading.ambiguous = true;
    return reading;
  }
  if (UNPRINTABLE.test(trimmed)) reading.ambiguous = true;
  const printable = reading.ambiguous ? trimmed.replace(DROPPED_AT_ENDS, '').replace(DROPPED, '') : trimmed;
  if (UNPRINTABLE.test(printable)) return reading;
  const inner = unwrapped(printable);
  readPrintable(inner, reading);
  // Who does not unwrap it finds no host.
  if (inner !== printable && reading.hosts.size > 0) reading.ambiguous = true;
  return reading;
}

/**
 * The host that a text addresses; `""` when it addresses none, as free text and the empty text do. Undefined when two
 * programs could read two different hosts in it (backslashes, control characters, several addresses), because then no
 * rule about the host can be trusted.
 */
export function domainOf(text: string): string | undefined {
  const { hosts, ambiguous } = readAddress(text);
  if (ambiguous) return undefined;
  const [host = ''] = hosts;
  return host;
}

/** Endings after which a dotted name in running text is a host, not a file, a column or a property. */
const HOST_ENDINGS = new Set(
  (
    'com net org info biz io ai dev app co cloud online site xyz top me tv gg sh ly to cc ws eu de at ch li fr it es pt nl ' +
    'be lu uk ie dk se no fi is pl cz sk hu ro bg gr hr si ee lv lt ua ru by tr il ae sa in pk cn hk tw jp kr sg my th vn ' +
    'id ph au nz ca us mx br ar cl pe za ng ke eg gov edu mil int example test local internal corp lan onion'
  ).split(' '),
);

/** Runs that may hold an address; each character is looked at a fixed number of times. */
const CANDIDATE = /[^\s<>"'`()[\]{}|,;]+/g;

/** Where an address begins within a run: at a scheme of the web, however its slashes stand, or at any scheme and `//`. */
const BEGINNING = /(?<![a-z0-9])(?:https?|wss?|ftp):[\\/]*(?=[^\\/])|[a-z][a-z0-9+.-]{0,31}:\/\/(?=[^/])/i;

/** Where one begins that leaves the scheme to the page it is in, or names a share. */
const RELATIVE_BEGINNING = /(?<=^|=)[\\/]{2,}(?=[^\\/])/;

/** Full stops of other scripts, which a browser reads as one. */
const FULL_STOPS = /[\u3002\uff0e\uff61]/g;

/** The run without the punctuation of the sentence around it. */
function withoutPunctuation(candidate: string): string {
  let end = candidate.length;
  while (end > 0 && '.!?:*_='.includes(candidate.charAt(end - 1))) end -= 1;
  return candidate.slice(0, end);
}

/** The part of a run that is an address by how it begins. */
function markedAddress(text: string): string | undefined {
  const beginning = BEGINNING.exec(text);
  if (beginning !== null) {
    const address = text.slice(beginning.index);
    // `http:get` is a name; a browser takes it for a host, but only where it stands for an address.
    return /[\\/]$/.test(beginning[0]) || address.includes('.') ? address : undefined;
  }
  const relative = RELATIVE_BEGINNING.exec(text);
  if (relative !== null) return text.slice(relative.index);
  return /^(?:www\.|mailto:)/i.test(text) ? text : undefined;
}

/** Whether a run without such a beginning is a host by its ending. */
function looksLikeHost(text: string): boolean {
  if (!text.includes('.')) return false;
  const host = authorityOf(text.includes('@') ? text.slice(text.lastIndexOf('@') + 1) : text).replace(/:\d{1,5}$/, '');
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host)) return true;
  const ending = host.slice(host.lastIndexOf('.') + 1).toLowerCase();
  return (HOST_ENDINGS.has(ending) || ending.startsWith('xn--')) && /^[^.]+(\.[^.]+)+$/.test(host);
}

/** Stands for a link whose host two programs could read differently: it is in no list of approved hosts. */
export const AMBIGUOUS_HOST = '(ambiguous)';

function takeDown(reading: AddressReading, into: Set<string>): void {
  if (reading.ambiguous) into.add(AMBIGUOUS_HOST);
  for (const host of reading.hosts) into.add(host);
}

/** Signs that end a link in running text, but not in an address as a browser reads it. */
const SIGNS_IN_USER = /[<>"'`()[\]{}|,;]/;

/** Signs after which a host in running text has ended. */
const UP_TO_SIGN = /^[^<>"'`()[\]{}|,;]*/;

/** More `@` in one authority than this, and nobody can say where it leads. */
const MAX_USERS = 8;

/** What a browser takes for one authority, at the longest. */
const AUTHORITY = /[^\s/?#\\]+/g;

/** Everything up to the last `@` of an authority is its user: `https://www.example.com,@evil.example` leads to evil.example. */
function hostsBehindUsers(text: string, into: Set<string>): void {
  if (!text.includes('@') || (!text.includes(':') && !text.includes('//') && !text.includes('\\\\'))) return;
  for (const { 0: run, index } of text.matchAll(AUTHORITY)) {
    if (!run.includes('@') || !SIGNS_IN_USER.test(run)) continue;
    const isMarked = /[\\/:][\\/]$/.test(text.slice(Math.max(0, index - 2), index));
    const beginning = isMarked ? 0 : run.search(/(?<![a-z0-9])(?:https?|wss?|ftp):/i);
    if (beginning === -1) continue;
    const [, ...behind] = run.slice(beginning).split('@');
    if (behind.length > MAX_USERS || run.length > LONGEST_ADDRESS) {
      into.add(AMBIGUOUS_HOST);
      continue;
    }
    for (const part of behind) {
      const host = hostOfAuthority(UP_TO_SIGN.exec(part)?.[0] ?? '');
      if (host !== undefined && host !== '') into.add(host);
    }
  }
}

/** An IPv6 address where a host stands. */
const IPV6_HOST = /(?:[\\/@]|(?<![a-z0-9])(?:https?|wss?|ftp):)\[([0-9a-f:.]{2,64})\]/gi;

function hostsInBrackets(text: string, into: Set<string>): void {
  if (!text.includes('[')) return;
  for (const [, address = ''] of text.matchAll(IPV6_HOST)) {
    const host = address.includes(':') ? hostOfAuthority(`[${address}]`) : undefined;
    if (host !== undefined) into.add(host);
  }
}

function hostsOfCandidates(text: string, into: Set<string>): void {
  hostsBehindUsers(text, into);
  hostsInBrackets(text, into);
  for (const [run] of text.matchAll(CANDIDATE)) {
    if (run.length < 4) continue;
    if (run.length > LONGEST_ADDRESS) {
      if (/:[\\/]|^\\\\|\/\/|@|www\./i.test(run)) into.add(AMBIGUOUS_HOST);
      continue;
    }
    const candidate = withoutPunctuation(run.replace(FULL_STOPS, '.'));
    const address = markedAddress(candidate) ?? (looksLikeHost(candidate) ? candidate : undefined);
    if (address !== undefined) takeDown(readAddress(address), into);
  }
}

/** Values of attributes, in which a browser drops line ends and tabs before it reads an address. */
const ATTRIBUTE = /=[ \t\r\n]{0,8}(?:"([^"]{1,2048})"|'([^']{1,2048})')/g;

const CHARACTER_REFERENCE = /&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(colon|sol|bsol|period|commat|tab|newline|amp));?/gi;

const NAMED_CHARACTERS: Readonly<Partial<Record<string, string>>> = {
  colon: ':',
  sol: '/',
  bsol: '\\',
  period: '.',
  commat: '@',
  tab: '\t',
  newline: '\n',
  amp: '&',
};

/** The text as HTML shows it, as far as an address can hide in the difference. */
function withCharacters(text: string): string {
  return text.replace(CHARACTER_REFERENCE, (reference, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED_CHARACTERS[name.toLowerCase()] ?? reference;
    const code = decimal === undefined ? parseInt(hex ?? '', 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : reference;
  });
}

function hostsOfBrokenLines(text: string, into: Set<string>): void {
  const values = [...text.matchAll(ATTRIBUTE)].map(([, double, single]) => double ?? single ?? '');
  // A text without blanks is perhaps an address as a whole.
  const whole = text.trim();
  if (whole.length <= LONGEST_ADDRESS && !whole.includes(' ')) values.push(whole);
  for (const value of values) {
    const joined = value.replace(DROPPED, '');
    if (joined !== value && joined.split('://').length <= 2) hostsOfCandidates(joined, into);
  }
}

/**
 * The hosts of all links in running text, as a browser or a mail program would open them: URLs with slashes of any kind
 * and number and with anything for a user, those that leave the scheme out, shares, e-mail addresses, IP addresses, and names
 * that end like a host.
 */
export function hostsInText(text: string, into: Set<string>): void {
  hostsOfCandidates(text, into);
  if (/[\t\n\r]/.test(text)) hostsOfBrokenLines(text, into);
  if (!text.includes('&')) return;
  const shown = withCharacters(text);
  if (shown === text) return;
  hostsOfCandidates(shown, into);
  if (/[\t\n\r]/.test(shown)) hostsOfBrokenLines(shown, into);
}
