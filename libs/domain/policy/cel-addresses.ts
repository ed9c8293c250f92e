import { ExpressionRefusal } from './cel-patterns.js';

/** Addresses are short; whatever is longer is no address, and reading it is refused. */
const LONGEST_ADDRESS = 2_048;

const SCHEME = /^([a-z][a-z0-9+.-]{0,31}):/i;

/** Schemes whose addresses a browser reads even when slashes are missing or too many. */
const WEB_SCHEMES = new Set(['http', 'https', 'ws', 'wss', 'ftp']);

/** Characters that a reader may drop, or turn into others, so that two readers see two addresses. */
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f]/;

const DIRECTORY_OF_A_DRIVE = /^[a-z]:[\\/]/i;

/** A host name of one label, such as the name of a system. */
const ONE_LABEL = /^[a-z0-9_-]+$/i;

/**
 * The host of an authority such as `user:pw@Bank.Example.:443`: lower case, international names in their ASCII form,
 * number tricks such as `0x7f.1` resolved, brackets, port and trailing dots dropped. Undefined when it is none.
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

/** Refuses what two readers could read in two ways. */
function ambiguous(): never {
  throw new ExpressionRefusal('ambiguous_address');
}

function hostOfMailbox(text: string): string {
  const address = /<([^<>]*)>\s*$/.exec(text)?.[1] ?? text;
  if (/[,;\s<>"()]/.test(address)) ambiguous();
  const at = address.lastIndexOf('@');
  if (at <= 0 || address.indexOf('@') !== at) ambiguous();
  // `git@host:path` names a path after the colon, not a port.
  const [host = ''] = address.slice(at + 1).split(':', 1);
  return hostOfAuthority(host) ?? ambiguous();
}

/** `mailto:` may name further recipients in its query. */
function hostOfMailto(rest: string): string {
  const [mailbox = '', query = ''] = rest.split('?', 2);
  if (/(^|[&;])(to|cc|bcc)=/i.test(query)) ambiguous();
  try {
    return hostOfMailbox(decodeURIComponent(mailbox));
  } catch {
    return ambiguous();
  }
}

/**
 * The host that a text addresses: of a URL, an e-mail address, or a host with or without port and path. `""` when the
 * text addresses none, as free text and the empty text do. Throws when two programs could read two different hosts in
 * it (backslashes, control characters, several addresses), because then no rule about the host can be trusted.
 */
export function domainOf(text: string): string {
  const trimmed = text.trim();
  if (trimmed === '') return '';
  if (trimmed.length > LONGEST_ADDRESS || UNPRINTABLE.test(trimmed)) ambiguous();
  if (DIRECTORY_OF_A_DRIVE.test(trimmed)) return '';
  if (trimmed.startsWith('\\\\')) return hostOfAuthority(trimmed.slice(2).split(/[\\/]/)[0] ?? '') ?? ambiguous();
  if (trimmed.includes('\\')) ambiguous();

  const scheme = SCHEME.exec(trimmed)?.[1]?.toLowerCase();
  if (scheme !== undefined) {
    const rest = trimmed.slice(scheme.length + 1);
    if (scheme === 'mailto') return hostOfMailto(rest);
    const slashes = /^\/*/.exec(rest)?.[0].length ?? 0;
    if (WEB_SCHEMES.has(scheme)) return hostOfAuthority(authorityOf(rest.slice(slashes))) ?? ambiguous();
    if (slashes === 2) {
      const authority = authorityOf(rest.slice(2));
      return authority === '' ? '' : (hostOfAuthority(authority) ?? ambiguous());
    }
    // `host:8443` and `host:8443/path` look like a scheme to a reader of URLs.
    if (!/^\d{1,5}([/?#]|$)/.test(rest)) return rest.includes('@') ? hostOfMailbox(authorityOf(rest)) : '';
  }
  if (trimmed.startsWith('//')) return hostOfAuthority(authorityOf(trimmed.slice(2))) ?? ambiguous();

  const authority = authorityOf(trimmed);
  if (authority.includes('@')) return hostOfMailbox(authority);
  if (ONE_LABEL.test(authority)) return authority.toLowerCase();
  if (/\s/.test(authority)) return '';
  return hostOfAuthority(authority) ?? '';
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

/** The run without the punctuation of the sentence around it. */
function withoutPunctuation(candidate: string): string {
  let end = candidate.length;
  while (end > 0 && '.!?:*_='.includes(candidate.charAt(end - 1))) end -= 1;
  return candidate.slice(0, end);
}

function hostOfCandidate(candidate: string): string | undefined {
  if (candidate.length > LONGEST_ADDRESS) return /:\/\/|@|www\./i.test(candidate) ? AMBIGUOUS_HOST : undefined;
  const text = withoutPunctuation(candidate);
  const marked = text.includes('://') || text.startsWith('//') || /^(www\.|mailto:)/i.test(text);
  const dot = text.lastIndexOf('.');
  if (!marked && dot === -1) return undefined;
  if (!marked) {
    const host = authorityOf(text.includes('@') ? text.slice(text.lastIndexOf('@') + 1) : text).replace(
      /:\d{1,5}$/,
      '',
    );
    const ending = host.slice(host.lastIndexOf('.') + 1).toLowerCase();
    const isAddress = /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
    if (!isAddress && !HOST_ENDINGS.has(ending) && !ending.startsWith('xn--')) return undefined;
    if (!isAddress && !/^[^.]+(\.[^.]+)+$/.test(host)) return undefined;
  }
  const start = text.includes('://') ? (/[a-z][a-z0-9+.-]{0,31}:\/\//i.exec(text)?.index ?? 0) : 0;
  try {
    const host = domainOf(text.slice(start));
    return host === '' ? undefined : host;
  } catch {
    return AMBIGUOUS_HOST;
  }
}

/** Stands for a link whose host two programs could read differently: it is in no list of approved hosts. */
export const AMBIGUOUS_HOST = '(ambiguous)';

/** The hosts of all links in running text: URLs, e-mail addresses, IPv4 addresses, and names that end like a host. */
export function hostsInText(text: string, into: Set<string>): void {
  for (const [candidate] of text.matchAll(CANDIDATE)) {
    if (candidate.length < 4) continue;
    const host = hostOfCandidate(candidate);
    if (host !== undefined) into.add(host);
  }
}
