import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, SignJWT, type CryptoKey, type JWK } from 'jose';

/** What tokens of the dev key say of who made them, and whom they are for. */
export const DEV_ISSUER = 'urn:remit:dev-key';
export const DEV_AUDIENCE = 'urn:remit:door';

/** The key with which this machine's people make their own tokens. Whoever can read its file can be anybody. */
export interface DevKey {
  readonly file: string;
  /** RFC 7638 thumbprint: names the key without giving it away. */
  readonly id: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  /** It was made by this call. */
  readonly isNew: boolean;
}

/** The dev key cannot be used. */
export class DevKeyError extends Error {
  override readonly name = 'DevKeyError';

  constructor(
    readonly code: 'REMIT_DEV_KEY_MISSING' | 'REMIT_DEV_KEY_EXPOSED' | 'REMIT_DEV_KEY_UNREADABLE',
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}

const OTHERS = 0o077;

export function devKeyFile(stateFolder: string): string {
  return join(stateFolder, 'door-dev-key.json');
}

/** The dev key of a state folder, made on first use. Any number of processes may ask at once: there is one key. */
export async function ensureDevKey(stateFolder: string): Promise<DevKey> {
  const file = devKeyFile(stateFolder);
  const known = await readKey(file);
  if (known !== undefined) return keyOf(file, known, false);
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const draft = `${file}.${randomUUID()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(await exportJWK(privateKey))}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const isFirst = await link(draft, file).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  await rm(draft);
  return keyOf(file, await keptKey(file), isFirst);
}

/** The dev key that the door has made. Throws `REMIT_DEV_KEY_MISSING` when there is none. */
export async function readDevKey(stateFolder: string): Promise<DevKey> {
  const file = devKeyFile(stateFolder);
  return keyOf(file, await keptKey(file), false);
}

async function keptKey(file: string): Promise<string> {
  const text = await readKey(file);
  if (text === undefined) throw new DevKeyError('REMIT_DEV_KEY_MISSING', `there is no ${file}: has the door started?`);
  return text;
}

async function readKey(file: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(file);
    if ((mode & OTHERS) !== 0) {
      throw new DevKeyError(
        'REMIT_DEV_KEY_EXPOSED',
        `others may read ${file}: chmod 600 it, or remove it for a new key`,
      );
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function keyOf(file: string, text: string, isNew: boolean): Promise<DevKey> {
  try {
    const jwk = JSON.parse(text) as JWK;
    const { d: _, ...publicJwk } = jwk;
    const [id, privateKey, publicKey] = await Promise.all([
      calculateJwkThumbprint(publicJwk),
      importJWK(jwk, 'EdDSA'),
      importJWK(publicJwk, 'EdDSA'),
    ]);
    return { file, id, privateKey: privateKey as CryptoKey, publicKey: publicKey as CryptoKey, isNew };
  } catch {
    throw new DevKeyError('REMIT_DEV_KEY_UNREADABLE', `${file} holds no Ed25519 key: remove it, and start again`);
  }
}

/** A token in which the dev key says who someone is. `now` and lifetime in ms. */
export function devToken(
  key: DevKey,
  who: {
    readonly person: string;
    readonly roles: readonly string[];
    readonly now: number;
    readonly lifetimeMs: number;
  },
): Promise<string> {
  const now = Math.floor(who.now / 1000);
  return new SignJWT({ roles: who.roles })
    .setProtectedHeader({ alg: 'EdDSA', kid: key.id })
    .setSubject(who.person)
    .setIssuer(DEV_ISSUER)
    .setAudience(DEV_AUDIENCE)
    .setIssuedAt(now)
    .setExpirationTime(now + Math.ceil(who.lifetimeMs / 1000))
    .sign(key.privateKey);
}
