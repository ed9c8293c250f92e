export type SigningCode =
  | 'REMIT_SIGNING_KEY_EXISTS'
  | 'REMIT_SIGNING_KEY_UNREADABLE'
  | 'REMIT_SIGNING_KEY_UNTRUSTED'
  | 'REMIT_TRUSTED_KEYS_UNREADABLE';

/** Keys cannot be used as they are set up. Recognise it by its code; the message says what to do. */
export class SigningError extends Error {
  override readonly name = 'SigningError';

  constructor(
    readonly code: SigningCode,
    message: string,
  ) {
    super(message);
  }
}
