/** Longer texts are no paths. */
const MAX_PATH_LENGTH = 4096;

/** Percent-encoding is undone so often; what is encoded more often is not read at all. */
const MAX_DECODINGS = 3;

const ENCODED = /%[0-9a-f]{2}/i;

const INVISIBLE = /\p{C}/u;

/** `..`, also with the dots and blanks that some systems drop. */
const UPWARDS = /^[.\s]*\.[.\s]*\.[.\s]*$/;

/** The text as a lenient reader of paths reads it; undefined when two readers could read two things. */
function readLeniently(text: string): string | undefined {
  if (text.length > MAX_PATH_LENGTH) return undefined;
  let read = text;
  for (let round = 0; round < MAX_DECODINGS && ENCODED.test(read); round += 1) {
    try {
      read = decodeURIComponent(read);
    } catch {
      return undefined;
    }
  }
  if (ENCODED.test(read)) return undefined;
  read = read.normalize('NFKC').replaceAll('\\', '/');
  return INVISIBLE.test(read) ? undefined : read;
}

/** Whether a text has a step upwards in it (`..`, however it is written), or may have one. */
export function climbs(text: string): boolean {
  if (!/[.．․‥…%]/.test(text)) return false;
  const read = readLeniently(text);
  return read === undefined || read.split('/').some((segment) => UPWARDS.test(segment));
}

/**
 * A path in its one form: percent-encoding undone, backslashes as slashes, no empty and no `.` segments. Undefined for
 * what is no plain path: with a step upwards, a share of another host, invisible characters, or nothing in it.
 */
export function plainPath(text: string): string | undefined {
  const read = readLeniently(text);
  if (read === undefined || read.startsWith('//')) return undefined;
  const segments = read.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.some((segment) => UPWARDS.test(segment))) return undefined;
  const path = (read.startsWith('/') ? '/' : '') + segments.join('/');
  return path === '' ? undefined : path;
}

/** Whether a plain path is a folder or lies in it. */
export function isBelow(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
