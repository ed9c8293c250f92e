import { hostsInText, readAddress } from './addresses.js';
import { boundedMemo } from './bounded-memo.js';
import { foldName } from './folding.js';

/** Agents choose their destinations, so the answers kept are bounded. */
const REMEMBERED_PLACES = 1_024;

/** What may stand around a name without changing where it leads. */
const AROUND = /^[\s"'`<>()[\]{}\\/.:]+|[\s"'`<>()[\]{}\\/.:?#]+$/g;

/** The scheme and the slashes of an address. */
const BEFORE_AUTHORITY = /^(?:[a-z][a-z0-9+.-]{0,31}:)?[\\/]*/i;

/** What separates names in an authority, or in a list of addresses. */
const SEPARATORS = /[\s"'`<>()[\]{}\\/@,;:?#]+/;

/**
 * Every name a destination may be read as by what restricts: folded, without what stands around it, and each host and
 * each part of an authority in it. `https://Vault:443/x`, `vault/` and `"vault "` are all read as `vault`.
 */
export const readingsOfDestination = boundedMemo(REMEMBERED_PLACES, (destination: string): ReadonlySet<string> => {
  const folded = foldName(destination);
  const readings = new Set([folded, folded.replace(AROUND, '')]);
  const afterScheme = folded.replace(BEFORE_AUTHORITY, '');
  // The path of an address says what is done there, not where.
  const authority = afterScheme.split(/[/\\?#]/, 1)[0] ?? '';
  for (const text of [authority, ...folded.split(/[\s,;<>"'`]+/)]) {
    const [first = ''] = text.replace(BEFORE_AUTHORITY, '').split(/[/\\?#]/, 1);
    for (const part of first.split(SEPARATORS)) readings.add(part.replace(AROUND, ''));
  }
  // `sftp:host`: what looks like a scheme may be a host, and the reverse.
  for (const part of folded.split(/[/\\?#]/, 1)[0]?.split(SEPARATORS) ?? []) readings.add(part.replace(AROUND, ''));
  const hosts = new Set(readAddress(destination).hosts);
  hostsInText(destination, hosts);
  for (const host of hosts) readings.add(foldName(host));
  readings.delete('');
  return readings;
});

/** Finds everything that a destination may lead to among things with names. */
export function receiverIndex<Receiver>(
  named: ReadonlyMap<string, Receiver>,
): (destination: string) => readonly Receiver[] {
  const folded = new Map<string, Receiver[]>();
  for (const [name, receiver] of named) {
    const alike = folded.get(foldName(name));
    if (alike === undefined) folded.set(foldName(name), [receiver]);
    else alike.push(receiver);
  }
  return boundedMemo(REMEMBERED_PLACES, (destination: string) => [
    ...new Set([...readingsOfDestination(destination)].flatMap((reading) => folded.get(reading) ?? [])),
  ]);
}
