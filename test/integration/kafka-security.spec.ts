import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, KafkaBus, messageOf } from '#bus';
import type { KafkaSecurity } from '#config';
import { TOPICS } from '#contracts';
import { createAuthority } from './certificates.js';
import { startSecuredBroker, type SecuredBroker } from './secured-broker.js';

const PASSWORD = 'correct-horse';
const TOPIC = TOPICS.agentOutcomes;

/** A token that says who it is for and that nobody signed. */
function unsignedToken(subject: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const seconds = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: seconds, exp: seconds + 3600 })}.`;
}

describe('connections to a secured Kafka', () => {
  let broker: SecuredBroker;
  let tokens: Server;
  let tokenUrl: string;
  const asked: { authorization: string | undefined; body: string }[] = [];

  beforeAll(async () => {
    broker = await startSecuredBroker({ remit: PASSWORD });
    const administrator = new KafkaBus({ brokers: [broker.administration] });
    await administrator.ensureTopics([TOPIC, TOPICS.agentDecisions]);
    await administrator.allow([
      {
        principal: 'remit',
        resource: 'topic',
        name: TOPIC.name,
        match: 'literal',
        operations: ['write', 'describe-configs'],
      },
    ]);
    await administrator.close();
    tokens = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        asked.push({ authorization: request.headers.authorization, body });
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ access_token: unsignedToken('remit'), expires_in: 3600 }));
      });
    }).listen(0, '127.0.0.1');
    await once(tokens, 'listening');
    tokenUrl = `http://127.0.0.1:${String((tokens.address() as AddressInfo).port)}/token`;
  });

  afterAll(async () => {
    tokens.close();
    await broker.remove();
  });

  /** Appends one message over a connection of its own. */
  async function append(security: KafkaSecurity, brokers = [broker.address]): Promise<number> {
    const bus = new KafkaBus({ brokers, security });
    try {
      const published = await bus.publish([{ topic: TOPIC.name, key: null, value: 'hello' }]);
      return published.length;
    } finally {
      await bus.close();
    }
  }

  async function problemOf(work: Promise<unknown>): Promise<{ code: string | undefined; message: string }> {
    return work.then(
      () => ({ code: undefined, message: 'it was accepted' }),
      (error: unknown) => ({ code: codeOf(error), message: messageOf(error) }),
    );
  }

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)(
    'are encrypted and authenticated with %s',
    async (mechanism) => {
      const tls = { caFile: broker.caFile };
      expect(await append({ tls, sasl: { mechanism, username: 'remit', password: { text: PASSWORD } } })).toBe(1);
      const wrong = { mechanism, username: 'remit', password: { text: 'wrong' } };
      const { code, message } = await problemOf(append({ tls, sasl: wrong }));
      expect(code).toBe('REMIT_BUS_NOT_AUTHENTICATED');
      expect(message).not.toContain('wrong');
    },
  );

  it('are authenticated with a bearer token from a file, or from the identity provider', async () => {
    const tls = { caFile: broker.caFile };
    const file = join(broker.folder, 'token');
    await writeFile(file, `${unsignedToken('remit')}\n`);
    expect(await append({ tls, sasl: { mechanism: 'oauthbearer', token: { file } } })).toBe(1);
    const clientSecret = { text: 'shh' };
    expect(
      await append({
        tls,
        sasl: { mechanism: 'oauthbearer', tokenUrl, clientId: 'remit', clientSecret, scope: 'kafka' },
      }),
    ).toBe(1);
    expect(asked).toContainEqual({
      authorization: `Basic ${Buffer.from('remit:shh').toString('base64')}`,
      body: 'grant_type=client_credentials&scope=kafka',
    });
  });

  it('are authenticated with a client certificate', async () => {
    const { certificate, privateKey } = await broker.authority.certify('remit');
    const [certFile, keyFile] = [join(broker.folder, 'client.pem'), join(broker.folder, 'client.key')];
    await writeFile(certFile, certificate);
    await writeFile(keyFile, privateKey);
    const tls = { caFile: broker.caFile, certFile, keyFile };
    expect(await append({ tls }, [broker.mutualTls])).toBe(1);
  });

  it('are refused to a broker that another authority vouches for', async () => {
    const other = await createAuthority('somebody else');
    const caFile = join(broker.folder, 'other-ca.pem');
    await writeFile(caFile, other.certificate);
    const sasl = { mechanism: 'plain' as const, username: 'remit', password: { text: PASSWORD } };
    const { code } = await problemOf(append({ tls: { caFile }, sasl }));
    expect(code).toBe('REMIT_BUS_UNREACHABLE');
  });

  it('use a rotated password and certificate authority without a restart', async () => {
    const [file, caFile] = [join(broker.folder, 'password'), join(broker.folder, 'rotated-ca.pem')];
    await writeFile(file, 'not yet the right one');
    await writeFile(caFile, broker.authority.certificate);
    const bus = new KafkaBus({
      brokers: [broker.address],
      security: { tls: { caFile }, sasl: { mechanism: 'scram-sha-512', username: 'remit', password: { file } } },
    });
    const message = { topic: TOPIC.name, key: null, value: 'hello' };
    expect((await problemOf(bus.publish([message]))).code).toBe('REMIT_BUS_NOT_AUTHENTICATED');
    await writeFile(file, `${PASSWORD}\n`);
    expect(await bus.publish([message])).toHaveLength(1);
    await bus.close();
  });

  it('name a file that cannot be read, before anything is sent', () => {
    const security = { tls: { caFile: join(broker.folder, 'nowhere.pem') } };
    let problem: unknown;
    try {
      new KafkaBus({ brokers: [broker.address], security });
    } catch (error) {
      problem = error;
    }
    expect(codeOf(problem)).toBe('REMIT_BUS_CREDENTIALS_UNREADABLE');
    expect(messageOf(problem)).toContain('nowhere.pem');
  });

  it('say which right is missing where the principal lacks it', async () => {
    const sasl = { mechanism: 'scram-sha-512' as const, username: 'remit', password: { text: PASSWORD } };
    const bus = new KafkaBus({ brokers: [broker.address], security: { tls: { caFile: broker.caFile }, sasl } });
    const { code, message } = await problemOf(bus.ends([TOPICS.agentDecisions.name]));
    expect([code, message]).toEqual(['REMIT_BUS_NOT_ALLOWED', expect.stringContaining(TOPICS.agentDecisions.name)]);
    await bus.close();
  });
});
