import { createPrivateKey, createPublicKey, generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { SERVICE_ACCESS, SERVICES, type ServiceName } from '#contracts';
import { SigningError } from './signing-error.js';

/** The key with which a process signs what it writes. */
export interface SigningKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly id: string;
  readonly privateKey: KeyObject;
}

/** A public key, and what its signature counts for. */
export interface TrustedKey {
  readonly publicKey: KeyObject;
  readonly service: ServiceName;
  /** Names of the topics that its service writes. */
  readonly topics: ReadonlySet<string>;
  /** It counts for messages that the broker appended before this, ms since the epoch; Infinity while it is in use. */
  readonly until: number;
}

const jwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  kid: z.string().min(1).max(64),
  service: z.enum(SERVICES),
  /** When it was taken out of use, RFC 3339. */
  until: z.iso.datetime().optional(),
});

/** A JSON Web Key Set (RFC 7517) with two members of our own in each key. */
const trustedKeysSchema = z.object({
  keys: z.array(jwkSchema),
  /** Messages that the broker appended before this count without a signature, RFC 3339: from before keys were in use. */
  unsignedUntil: z.iso.datetime().optional(),
});
type TrustedKeysDocument = z.infer<typeof trustedKeysSchema>;

function jwkOf(publicKey: KeyObject): { x: string } {
  return publicKey.export({ format: 'jwk' }) as { x: string };
}

/** RFC 7638, section 3: the members of an OKP key in order, without white space. */
function thumbprint(x: string): string {
  return hash('sha256', JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }), 'base64url');
}

const OTHERS = 0o077;

/**
 * The signing key in a file, PEM (PKCS #8), Ed25519. Throws `REMIT_SIGNING_KEY_UNREADABLE`, also where others may read
 * the file.
 */
export function readSigningKey(file: string): SigningKey {
  try {
    if ((statSync(file).mode & OTHERS) !== 0) throw new Error('others may read it: chmod 600');
    const privateKey = createPrivateKey(readFileSync(file));
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it holds no Ed25519 key');
    return { id: thumbprint(jwkOf(createPublicKey(privateKey)).x), privateKey };
  } catch (error) {
    const message = `the signing key ${file} cannot be used: ${(error as Error).message}`;
    throw new SigningError('REMIT_SIGNING_KEY_UNREADABLE', message);
  }
}

/**
 * Makes a signing key for a service: writes the private key (PEM, readable by its owner only) and adds the public key
 * to the file of trusted keys, which is created where it is missing. Returns the key's id. Throws
 * `REMIT_SIGNING_KEY_EXISTS` where the key file exists.
 */
export function createSigningKey(files: {
  readonly service: ServiceName;
  readonly keyFile: string;
  readonly trustedKeysFile: string;
  /** Messages appended before this count without a signature, ms since the epoch; default: as the file says, else none. */
  readonly unsignedUntil?: number | undefined;
}): string {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x } = jwkOf(publicKey);
  const kid = thumbprint(x);
  try {
    writeFileSync(files.keyFile, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const message = `${files.keyFile} is there already (EEXIST) and is not overwritten: to rotate, write the new key into another file`;
    throw new SigningError('REMIT_SIGNING_KEY_EXISTS', message);
  }
  const { keys, ...rest } = readDocument(files.trustedKeysFile) ?? { keys: [] };
  const { unsignedUntil } = files;
  const document = {
    ...rest,
    ...(unsignedUntil === undefined ? {} : { unsignedUntil: new Date(unsignedUntil).toISOString() }),
    keys: [...keys, { kty: 'OKP', crv: 'Ed25519', x, kid, service: files.service }],
  };
  const draft = `${files.trustedKeysFile}.new`;
  writeFileSync(draft, `${JSON.stringify(document, null, 2)}\n`);
  renameSync(draft, files.trustedKeysFile);
  return kid;
}

function readDocument(file: string): TrustedKeysDocument | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(file, (error as Error).message);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw unreadable(file, 'it is not JSON');
  }
  const read = trustedKeysSchema.safeParse(document);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw unreadable(file, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`);
}

function unreadable(file: string, why: string): SigningError {
  return new SigningError('REMIT_TRUSTED_KEYS_UNREADABLE', `the trusted keys in ${file} cannot be used: ${why}`);
}

/** How often an unknown key makes the file be looked at again, ms. */
const LOOK_AGAIN_MS = 1000;

/** The public keys of every process of Remit. A key that is not known yet is looked for in the file again. */
export class TrustedKeys {
  #keys: ReadonlyMap<string, TrustedKey>;
  #unsignedUntil: number;
  #lookedAt = performance.now();

  /** Throws `REMIT_TRUSTED_KEYS_UNREADABLE`. */
  constructor(private readonly file: string) {
    const { keys, unsignedUntil } = load(file);
    this.#keys = keys;
    this.#unsignedUntil = unsignedUntil;
  }

  key(id: string): TrustedKey | undefined {
    const known = this.#keys.get(id);
    if (known !== undefined || performance.now() - this.#lookedAt < LOOK_AGAIN_MS) return known;
    this.#lookedAt = performance.now();
    try {
      const { keys, unsignedUntil } = load(this.file);
      this.#keys = keys;
      this.#unsignedUntil = unsignedUntil;
    } catch {
      // half written or gone for a moment: the keys known so far go on
    }
    return this.#keys.get(id);
  }

  /** Before this append time a message counts without a signature, ms since the epoch. */
  get unsignedUntil(): number {
    return this.#unsignedUntil;
  }

  /** Throws `REMIT_SIGNING_KEY_UNTRUSTED`: nobody would believe what this process writes. */
  mustTrust({ id }: SigningKey, service: ServiceName): void {
    const trusted = this.key(id);
    if (trusted?.service === service && trusted.until === Infinity) return;
    const problem = trusted === undefined ? 'is not in it' : `is there for ${trusted.service}, or no longer in use`;
    const message = `the key ${id} must be in ${this.file} for the service ${service}, but it ${problem}`;
    throw new SigningError('REMIT_SIGNING_KEY_UNTRUSTED', message);
  }
}

function load(file: string): { keys: ReadonlyMap<string, TrustedKey>; unsignedUntil: number } {
  const document = readDocument(file);
  if (document === undefined) throw unreadable(file, 'there is no such file');
  const keys = new Map<string, TrustedKey>();
  for (const { x, kid, service, until } of document.keys) {
    keys.set(kid, {
      publicKey: createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x } }),
      service,
      topics: new Set(SERVICE_ACCESS[service].writes.map(({ name }) => name)),
      until: until === undefined ? Infinity : Date.parse(until),
    });
  }
  const { unsignedUntil } = document;
  return { keys, unsignedUntil: unsignedUntil === undefined ? -Infinity : Date.parse(unsignedUntil) };
}
