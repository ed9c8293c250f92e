import { hash, verify } from 'node:crypto';
import type { Base64, BytesHash, ProofCrypto } from '#domain';
import { publicKeyObject } from './record-keys.js';

/** Node's SHA-256 over bytes. */
export const sha256Bytes: BytesHash = (bytes) => hash('sha256', bytes, 'buffer');

/** Node's hash and signature check, handed to the pure verifier. */
export const proofCrypto: ProofCrypto & Base64 = {
  sha256: sha256Bytes,
  isSigned: (publicKey, bytes, signature) => {
    try {
      return verify(null, bytes, publicKeyObject(publicKey), signature);
    } catch {
      return false;
    }
  },
  toBase64: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  fromBase64: (text) => Buffer.from(text, 'base64'),
};
