import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '#testing';
import { createAuthority, writeKeyStore, type Authority } from './certificates.js';
import { startOwnBroker, type OwnBroker } from './own-broker.js';

/** A broker with TLS, SASL and the authorizer on. */
export interface SecuredBroker {
  /** The listener with TLS and SASL. */
  readonly address: string;
  /** The listener with TLS that asks for a client certificate: its subject is the principal. */
  readonly mutualTls: string;
  /** The plain listener on loopback, where everybody is the superuser ANONYMOUS: for the administrator of a spec. */
  readonly administration: string;
  readonly folder: string;
  readonly authority: Authority;
  /** File with the authority's certificate. */
  readonly caFile: string;
  readonly broker: OwnBroker;
  remove(): Promise<void>;
}

/** Users of SCRAM (both lengths) and of PLAIN, and their passwords. Nobody but ANONYMOUS may do anything yet. */
export async function startSecuredBroker(users: Readonly<Record<string, string>>): Promise<SecuredBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'remit-secured-broker-'));
  const authority = await createAuthority('Remit spec');
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.certificate);
  const keyStore = join(folder, 'broker.pem');
  await writeKeyStore(keyStore, await authority.certify('localhost'));
  const [saslPort, mutualPort] = [await freePort(), await freePort()];
  const plainUsers = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const broker = await startOwnBroker({
    listeners: [`SECURED://127.0.0.1:${String(saslPort)}`, `MUTUAL://127.0.0.1:${String(mutualPort)}`],
    settings: [
      'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL,MUTUAL:SSL',
      'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users=User:ANONYMOUS',
      'allow.everyone.if.no.acl.found=false',
      'ssl.keystore.type=PEM',
      `ssl.keystore.location=${keyStore}`,
      'ssl.truststore.type=PEM',
      `ssl.truststore.location=${caFile}`,
      'ssl.endpoint.identification.algorithm=',
      'listener.name.mutual.ssl.client.auth=required',
      'listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT',
      'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      ...['256', '512'].map(
        (bits) =>
          `listener.name.secured.scram-sha-${bits}.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`,
      ),
      `listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ${plainUsers.join(' ')};`,
      // takes tokens that nobody signed: enough to see that they arrive, and never for production
      'listener.name.secured.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;',
      'listener.name.secured.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler',
    ],
    format: Object.entries(users).flatMap(([name, password]) =>
      ['256', '512'].flatMap((bits) => ['--add-scram', `SCRAM-SHA-${bits}=[name=${name},password=${password}]`]),
    ),
  });
  return {
    address: `127.0.0.1:${String(saslPort)}`,
    mutualTls: `127.0.0.1:${String(mutualPort)}`,
    administration: broker.address,
    folder,
    authority,
    caFile,
    broker,
    async remove() {
      await broker.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
