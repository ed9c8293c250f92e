import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hash,
  hkdfSync,
  randomBytes,
  randomUUID,
  sign,
  type KeyObject,
} from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RecordError } from './record-error.js';

/** Wraps the keys of intents. Whoever has it can read what the record seals. */
export interface MasterKey {
  /** Names the key without giving it away. */
  readonly id: string;
  readonly wrapping: KeyObject;
  /** The form in which a person is looked up: the same person, the same tag, and no way back. */
  personTag(person: string): Buffer;
}

/** Signs checkpoints. */
export interface SigningKey {
  /** Ed25519, 32 bytes. */
  readonly publicKey: Buffer;
  sign(bytes: Uint8Array): Buffer;
}

const OTHERS = 0o077;
const MASTER_FILE = 'master.key';
const FIRST_SIGNING_FILE = 'signing.pem';
const MASTER_BYTES = 32;
const TAG_BYTES = 16;
/** An Ed25519 key in SPKI form is these bytes and the key's own 32. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

async function readSecret(file: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(file);
    if ((mode & OTHERS) !== 0) {
      throw new RecordError('REMIT_RECORD_KEY_EXPOSED', `others may read ${file}: chmod 600 it`);
    }
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file once, whole or not at all. Of several processes that do it at once, one wins; all read the same. */
async function ensureSecret(folder: string, name: string, make: () => string): Promise<string> {
  const file = join(folder, name);
  const known = await readSecret(file);
  if (known !== undefined) return known;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomUUID()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(make());
    await handle.sync();
  } finally {
    await handle.close();
  }
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
  const kept = await readSecret(file);
  if (kept === undefined) throw new RecordError('REMIT_RECORD_KEY_UNREADABLE', `${file} is gone again`);
  return kept;
}

function masterKeyOf(file: string, text: string): MasterKey {
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== MASTER_BYTES) {
    throw new RecordError('REMIT_RECORD_KEY_UNREADABLE', `${file} must hold ${String(MASTER_BYTES)} bytes in base64`);
  }
  const tagging = createSecretKey(Buffer.from(hkdfSync('sha256', bytes, '', 'remit.person-tag/1', MASTER_BYTES)));
  return {
    id: hash('sha256', Buffer.concat([Buffer.from('remit.master-key/1'), bytes]), 'hex').slice(0, 32),
    wrapping: createSecretKey(bytes),
    personTag: (person) => createHmac('sha256', tagging).update(person).digest().subarray(0, TAG_BYTES),
  };
}

function signingKeyOf(file: string, pem: string): SigningKey {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('not Ed25519');
    return { publicKey: rawPublicKey(createPublicKey(key)), sign: (bytes) => sign(null, bytes, key) };
  } catch {
    throw new RecordError('REMIT_RECORD_KEY_UNREADABLE', `${file} must hold an Ed25519 private key as PEM (PKCS #8)`);
  }
}

export function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

export function publicKeyObject(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
}

/** The PEM form that a verifier takes. */
export function publicKeyPem(raw: Uint8Array): string {
  return publicKeyObject(raw).export({ format: 'pem', type: 'spki' }).toString();
}

/** Reads a public key: PEM, or 32 bytes in base64. Throws `REMIT_RECORD_KEY_UNREADABLE`. */
export function parsePublicKey(text: string): Buffer {
  try {
    const raw = Buffer.from(text.trim(), 'base64');
    if (!text.includes('-----BEGIN') && raw.length === 32) return raw;
    const key = createPublicKey(text);
    if (key.asymmetricKeyType === 'ed25519') return rawPublicKey(key);
  } catch {
    // Said below, whatever was wrong with it.
  }
  throw new RecordError('REMIT_RECORD_KEY_UNREADABLE', 'the public key must be Ed25519, as PEM or 32 bytes in base64');
}

function newSigningPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

function fileOfKey(publicKey: Uint8Array): string {
  return `signing-${Buffer.from(publicKey).toString('hex').slice(0, 16)}.pem`;
}

/**
 * The record's secrets, in a folder that belongs to its processes alone. What is missing is made on first use, so all
 * replicas must share the folder. Errors: `REMIT_RECORD_KEY_EXPOSED`, `REMIT_RECORD_KEY_UNREADABLE`,
 * `REMIT_RECORD_NO_SIGNING_KEY`.
 */
export class RecordKeys {
  #master: Promise<MasterKey> | undefined;

  constructor(readonly folder: string) {}

  master(): Promise<MasterKey> {
    this.#master ??= ensureSecret(this.folder, MASTER_FILE, () => randomBytes(MASTER_BYTES).toString('base64'))
      .then((text) => masterKeyOf(join(this.folder, MASTER_FILE), text))
      .catch((error: unknown) => {
        this.#master = undefined;
        throw error;
      });
    return this.#master;
  }

  /** The key with this public half; without one, the key of a record that has no checkpoint yet. */
  async signing(publicKey?: Uint8Array): Promise<SigningKey> {
    if (publicKey === undefined) {
      const pem = await ensureSecret(this.folder, FIRST_SIGNING_FILE, newSigningPem);
      return signingKeyOf(join(this.folder, FIRST_SIGNING_FILE), pem);
    }
    for (const name of [fileOfKey(publicKey), FIRST_SIGNING_FILE]) {
      const pem = await readSecret(join(this.folder, name));
      if (pem === undefined) continue;
      const key = signingKeyOf(join(this.folder, name), pem);
      if (key.publicKey.equals(publicKey)) return key;
    }
    throw new RecordError(
      'REMIT_RECORD_NO_SIGNING_KEY',
      `${this.folder} does not hold the key that signs this record's checkpoints ` +
        `(${Buffer.from(publicKey).toString('base64')}); bring it back, or no epoch can be closed`,
    );
  }

  /** Makes another signing key. It signs nothing until a checkpoint has announced it. */
  async makeSigningKey(): Promise<SigningKey> {
    const pem = newSigningPem();
    const key = signingKeyOf(this.folder, pem);
    await ensureSecret(this.folder, fileOfKey(key.publicKey), () => pem);
    return key;
  }
}
