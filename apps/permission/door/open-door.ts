import type { Config } from '#config';
import { ensureDevKey } from '#service';
import { closedDoor, devVerifier, issuerVerifier, type VerifyToken } from './tokens.js';

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** Whose tokens the door takes, and what to tell the operator about it, once. */
export interface OpenedDoor {
  readonly verify: VerifyToken;
  readonly notice: string;
}

/** In production the issuer's tokens; else those of this machine's dev key; else none: then the door is closed. */
export async function openDoor({ door, host, stateFolder }: Config): Promise<OpenedDoor> {
  if (door.issuer !== undefined) {
    return { verify: issuerVerifier(door.issuer, door), notice: `the door takes tokens of ${door.issuer.url}` };
  }
  const because = whyNoDevKey(door.devKey, host, stateFolder);
  if (because !== undefined || stateFolder === undefined) {
    const notice = `the door for people is closed: ${because ?? ''}; set REMIT_DOOR_ISSUER, REMIT_DOOR_AUDIENCE and REMIT_DOOR_JWKS_URL`;
    return { verify: closedDoor(notice), notice };
  }
  const key = await ensureDevKey(stateFolder);
  const made = key.isNew ? 'made a dev key' : 'takes tokens of the dev key';
  return { verify: devVerifier(key, door), notice: `the door ${made} ${key.id} in ${key.file}: remit login uses it` };
}

function whyNoDevKey(devKey: Config['door']['devKey'], host: string, stateFolder: string | undefined) {
  if (devKey === 'never') return 'no issuer is set, and the dev key is switched off';
  if (stateFolder === undefined) return 'no issuer is set, and no REMIT_STATE_DIR to keep a dev key in';
  if (devKey === 'loopback' && !LOOPBACK.has(host))
    return `no issuer is set, and a dev key counts on loopback only, not on ${host}`;
  return undefined;
}
