import { foldCase } from './value-glob.js';

const MAX_ADDRESS_LENGTH = 320;

/** One bare address; `*` may stand for parts of it. The domain ends in letters: `package@1.2.3` is no address. */
const ADDRESS = /^([^\s@,;<>"'()[\]\\:%!]+)@((?:[^\s@,;<>"'()[\]\\:%!/?#.]+\.)+(?:\p{L}{2,}|xn--[a-z0-9-]+))$/iu;

/**
 * The one form of a mail address or of a pattern over addresses: letter case dropped on both sides of the `@`, as nearly
 * every mail system does; international domains in their ASCII form. Undefined for anything but exactly one address.
 */
export function mailAddress(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_LENGTH) return undefined;
  const [, local, domain] = ADDRESS.exec(text) ?? [];
  if (local === undefined || domain === undefined) return undefined;
  if (domain.includes('*')) return `${foldCase(local)}@${foldCase(domain)}`;
  const host = URL.parse(`http://${domain}`)?.hostname;
  return host === undefined ? undefined : `${foldCase(local)}@${host}`;
}
