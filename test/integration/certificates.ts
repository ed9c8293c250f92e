import 'reflect-metadata';
import { writeFile } from 'node:fs/promises';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

/** A certificate and its private key, both PEM. */
export interface Certified {
  readonly certificate: string;
  readonly privateKey: string;
}

/** A certificate authority of one spec. */
export interface Authority {
  /** Its own certificate, PEM. */
  readonly certificate: string;
  /** Certifies a new key for a server on loopback, or on another host, or for a client of that name. */
  certify(name: string, host?: string): Promise<Certified>;
}

export async function createAuthority(name: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    certificate: own.toString('pem'),
    async certify(subject, host) {
      const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: own.subject,
        publicKey: pair.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        notBefore: new Date(Date.now() - DAY_MS),
        notAfter: new Date(Date.now() + DAY_MS),
        extensions: [
          new x509.SubjectAlternativeNameExtension(
            host === undefined
              ? [
                  { type: 'dns', value: 'localhost' },
                  { type: 'ip', value: '127.0.0.1' },
                ]
              : [{ type: 'dns', value: host }],
          ),
        ],
      });
      const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey);
      return {
        certificate: certificate.toString('pem'),
        privateKey: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
      };
    },
  };
}

/** As Kafka's `ssl.keystore.type=PEM` wants it: key, then chain, in one file. */
export async function writeKeyStore(file: string, { certificate, privateKey }: Certified): Promise<void> {
  await writeFile(file, `${privateKey}\n${certificate}\n`, { mode: 0o600 });
}
