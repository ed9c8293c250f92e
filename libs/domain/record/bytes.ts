/** SHA-256 over bytes. The edge supplies it. */
export type BytesHash = (bytes: Uint8Array) => Uint8Array;

/** Whether an Ed25519 signature of these bytes is the public key's (32 bytes). Never throws. The edge supplies it. */
export type SignatureCheck = (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean;

/** Bytes in each digest. */
export const DIGEST_BYTES = 32;

/** What stands before the first entry of a chain. */
export const NOTHING_BEFORE = new Uint8Array(DIGEST_BYTES);

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hex. */
export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** The inverse of {@link hexOf}; what is no hex digit counts as 0. */
export function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length >> 1 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

export function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
