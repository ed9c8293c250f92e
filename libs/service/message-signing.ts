import { Logger } from '@nestjs/common';
import type { Bus, Unreadable } from '#bus';
import type { Config } from '#config';
import { MessageVerifier, readSigningKey, SIGNED_TOPICS, SignedBus, TrustedKeys, type SigningKey } from '#signing';
import { METRICS, onceAMinutePerCause, type Metrics } from '#telemetry';
import type { ServiceIdentity } from './service-identity.js';

/** Injection token of the {@link Signatures} of this process; `undefined` where no keys are in use. */
export const SIGNATURES = Symbol('remit.signatures');

/** How this process signs and verifies. */
export interface Signatures {
  readonly signingKey: SigningKey | undefined;
  readonly verifier: MessageVerifier;
}

/** Throws a `SigningError` where the keys cannot be used, or this process's own is not trusted as its service. */
export function loadSignatures({ signing }: Config, { service }: ServiceIdentity): Signatures | undefined {
  if (signing === undefined) {
    const problem =
      'REMIT_TRUSTED_KEYS_FILE is not set: whoever may write to the topics of Remit can command it (docs/guide/security.md)';
    new Logger('signatures').warn(problem);
    return undefined;
  }
  const keys = new TrustedKeys(signing.trustedKeysFile);
  const signingKey = signing.keyFile === undefined ? undefined : readSigningKey(signing.keyFile);
  if (signingKey !== undefined) keys.mustTrust(signingKey, service);
  return { signingKey, verifier: new MessageVerifier(keys) };
}

/** The bus of a process of Remit: signed and verified where keys are in use, else as it is. */
export function signedBus(bus: Bus, signatures: Signatures | undefined, metrics: Metrics | undefined): Bus {
  if (signatures === undefined) return bus;
  const log = new Logger('signatures');
  const say = onceAMinutePerCause(
    ({ code, message }: Unreadable) => `${code} ${message.topic}`,
    ({ message: { topic, partition, offset }, code, reason }) => {
      log.error({ code, message: `${topic}/${String(partition)}/${String(offset)} is refused: ${reason}` });
    },
  );
  for (const topic of SIGNED_TOPICS) {
    const nothing = { 'error.type': 'REMIT_SIGNATURE_MISSING', 'messaging.destination.name': topic };
    metrics?.counter(METRICS.signatureRefusals).add(0, nothing);
  }
  return new SignedBus(bus, {
    ...signatures,
    onRefused: (refused) => {
      const of = { 'error.type': refused.code, 'messaging.destination.name': refused.message.topic };
      metrics?.counter(METRICS.signatureRefusals).add(1, of);
      say(refused);
    },
  });
}
