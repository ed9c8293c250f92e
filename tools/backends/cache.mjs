import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What was fetched or built once per user; every clone shares it. */
const cache = () => join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'remit');

/** Where something is kept, if it is there. */
export function cached(name) {
  const folder = join(cache(), name);
  return existsSync(folder) ? folder : undefined;
}

/**
 * Fills a draft and puts it in place whole: nobody ever sees half of it, and of two runs that race one wins.
 *
 * @param {string} name
 * @param {(draft: string) => void} fill
 */
export function putIntoCache(name, fill) {
  const folder = join(cache(), name);
  mkdirSync(cache(), { recursive: true });
  const draft = mkdtempSync(join(cache(), 'draft-'));
  try {
    fill(draft);
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    // somebody else finished first: theirs is as good
    if (!['ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
  }
  return folder;
}
