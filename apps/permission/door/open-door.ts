import type { Config } from '#config';
import { ensureDevKey } from '#service';
import { closedDoor, devVerifier, issuerVerifier, type VerifyToken } from './tokens.js';

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** Whose tokens the door takes, and what to tell the operator about it, once. */
export interface OpenedDoor {
  readonly verify: VerifyToken;
  readonly notice: string;
  /** What an operator has to know about the configuration. */
  readonly warning?: string | undefined;
}

/** An issuer's `sub` is an opaque id as a rule, and agents say for whom they act in another word. */
function warningOf(identityClaim: string): string | undefined {
  if (identityClaim !== 'sub') return undefined;
  return (
    'REMIT_DOOR_SELF_APPROVAL_UNSEEN: people are known by the claim sub of their tokens. Where agents write another name ' +
    'in onBehalfOf, such as an address, somebody who approves what is done for themselves is not noticed: set ' +
    'REMIT_DOOR_IDENTITY_CLAIM to the claim that has that name, such as email'
  );
}

/** In production the issuer's tokens; else those of this machine's dev key; else none: then the door is closed. */
export async function openDoor({ door, host, stateFolder }: Config): Promise<OpenedDoor> {
  if (door.issuer !== undefined) {
    const notice = `the door takes tokens of ${door.issuer.url}; people are who their claim ${door.identityClaim} says`;
    return { verify: issuerVerifier(door.issuer, door), notice, warning: warningOf(door.identityClaim) };
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
