import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stat } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { DEV_AUDIENCE, DEV_ISSUER } from '#service';
import { readConfig } from '#config';
import { openDoor } from '../../apps/permission/door/open-door.js';
import { CHARTER_TEXT, GOVERNANCE, startDoorWorld, type DoorWorld } from './door-world.js';

const PATH = '/v1/charters/current';

/** `without`: a claim that is left out. */
function claims(changes: JWTPayload = {}, without?: 'exp' | 'sub'): JWTPayload {
  const now = Math.floor(Date.now() / 1000);
  const all = {
    sub: 'ann',
    roles: ['governance'],
    iss: DEV_ISSUER,
    aud: DEV_AUDIENCE,
    iat: now,
    exp: now + 60,
    ...changes,
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => name !== without));
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

describe('the door asks everyone who they are', () => {
  let world: DoorWorld;
  let stranger: CryptoKey;

  beforeAll(async () => {
    world = await startDoorWorld();
    await world.call(GOVERNANCE, 'activateCharter', { body: { text: CHARTER_TEXT } });
    ({ privateKey: stranger } = await generateKeyPair('EdDSA', { crv: 'Ed25519' }));
  });

  afterAll(() => world.close());

  async function knock(authorization: string | undefined): Promise<[number, string]> {
    const { status, code } = await world.send(PATH, authorization === undefined ? {} : { headers: { authorization } });
    return [status, code];
  }

  const signed = (payload: JWTPayload, key: CryptoKey = world.key.privateKey): Promise<string> =>
    new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA' }).sign(key);

  it('and lets in whoever the dev key vouches for', async () => {
    expect(await knock(`Bearer ${await signed(claims())}`)).toEqual([200, 'done']);
  });

  it('the dev key can be read by its owner alone', async () => {
    expect((await stat(world.key.file)).mode & 0o777).toBe(0o600);
  });

  const refused: [what: string, token: () => string | undefined | Promise<string>, code: string][] = [
    ['no token', () => undefined, 'REMIT_DOOR_TOKEN_MISSING'],
    ['another scheme', () => 'Basic YW5uOnNlY3JldA==', 'REMIT_DOOR_TOKEN_MISSING'],
    ['something that is no token', () => 'Bearer ann', 'REMIT_DOOR_TOKEN_MALFORMED'],
    ['an expired token', () => signed(claims({ exp: 1_000_000_000 })), 'REMIT_DOOR_TOKEN_EXPIRED'],
    ['a token not valid yet', () => signed(claims({ nbf: 4_000_000_000 })), 'REMIT_DOOR_TOKEN_NOT_YET'],
    ['a token that never expires', () => signed(claims({}, 'exp')), 'REMIT_DOOR_TOKEN_ENDLESS'],
    ['a token for somebody else’s door', () => signed(claims({ aud: 'another' })), 'REMIT_DOOR_TOKEN_AUDIENCE'],
    ['a token of another issuer', () => signed(claims({ iss: 'https://other.example' })), 'REMIT_DOOR_TOKEN_ISSUER'],
    ['a token of nobody', () => signed(claims({}, 'sub')), 'REMIT_DOOR_TOKEN_SUBJECT'],
    ['a name that hides', () => signed(claims({ sub: 'ann\u202e' })), 'REMIT_DOOR_TOKEN_SUBJECT'],
    ['a token signed by another key', () => signed(claims(), stranger), 'REMIT_DOOR_TOKEN_KEY'],
    ['alg: none', () => `${base64url({ alg: 'none' })}.${base64url(claims())}.`, 'REMIT_DOOR_TOKEN_ALGORITHM'],
    [
      'the public key used as a secret',
      async () => {
        const secret = Buffer.from(JSON.stringify(await exportJWK(world.key.publicKey)));
        return new SignJWT(claims()).setProtectedHeader({ alg: 'HS256' }).sign(secret);
      },
      'REMIT_DOOR_TOKEN_ALGORITHM',
    ],
    [
      'a token whose roles were changed',
      async () => {
        const [header, , signature] = (await signed(claims({ roles: [] }))).split('.');
        return `${String(header)}.${base64url(claims())}.${String(signature)}`;
      },
      'REMIT_DOOR_TOKEN_KEY',
    ],
  ];

  it.each(refused)('and refuses %s', async (_, token, code) => {
    const given = await token();
    const authorization = given === undefined || given.includes(' ') ? given : `Bearer ${given}`;
    expect(await knock(authorization)).toEqual([401, code]);
  });

  it('a refused token is not repeated in the answer, and says how to come in', async () => {
    const token = await signed(claims({ exp: 1_000_000_000 }));
    const { text, headers } = await world.send(PATH, { headers: { authorization: `Bearer ${token}` } });
    expect(text).not.toContain(token.split('.')[2]);
    expect(headers.get('www-authenticate')).toContain('Bearer');
    expect(headers.get('content-type')).toContain('application/problem+json');
  });

  it('a token never enters the log', async () => {
    const token = await world.token('ann', ['security']);
    const body = JSON.stringify({ reason: 'a test' });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    expect((await world.send('/v1/agents/clerk/suspension', { method: 'PUT', headers, body })).status).toBe(200);
    const everything = await world.everything();
    expect(everything).toContain('AgentSuspended');
    for (const part of token.split('.')) expect(everything).not.toContain(part);
  });
});

describe('with an identity provider', () => {
  const AUDIENCE = 'https://remit.bank.example';
  let issuer: Server;
  let issuerUrl: string;
  let issuerKey: CryptoKey;
  let world: DoorWorld;

  beforeAll(async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    issuerKey = privateKey;
    const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }] };
    issuer = createServer((_, answer) =>
      answer.setHeader('content-type', 'application/json').end(JSON.stringify(keys)),
    );
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    issuerUrl = `http://127.0.0.1:${String((issuer.address() as AddressInfo).port)}`;
    world = await startDoorWorld({
      REMIT_DOOR_ISSUER: issuerUrl,
      REMIT_DOOR_AUDIENCE: AUDIENCE,
      REMIT_DOOR_JWKS_URL: `${issuerUrl}/keys`,
      REMIT_DOOR_ROLES_CLAIM: 'groups',
      REMIT_DOOR_ROLE_MAP: 'grp-gov=governance,grp-sec=security',
    });
  });

  afterAll(async () => {
    await world.close();
    await new Promise((resolve) => issuer.close(resolve));
  });

  const issued = (groups: string[], kid = 'one'): Promise<string> =>
    new SignJWT({ ...claims({ iss: issuerUrl, aud: AUDIENCE }), groups })
      .setProtectedHeader({ alg: 'ES256', kid })
      .sign(issuerKey);

  const activate = async (token: string): Promise<[number, string]> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ text: CHARTER_TEXT });
    const answer = await world.send('/v1/charters', { method: 'POST', headers, body });
    return [answer.status, answer.code];
  };

  it('its groups become the charter’s roles', async () => {
    expect(await activate(await issued(['grp-gov']))).toEqual([200, 'done']);
  });

  it('a role it does not map gives nothing, even under our own word', async () => {
    expect(await activate(await issued(['governance', 'grp-sec']))).toEqual([403, 'REMIT_DOOR_ROLE_MISSING']);
  });

  it('the dev key counts no more', async () => {
    expect(await activate(await world.token('ann', ['governance']))).toEqual([401, 'REMIT_DOOR_TOKEN_KEY']);
  });

  it('a key it does not publish counts for nothing', async () => {
    expect(await activate(await issued(['grp-gov'], 'two'))).toEqual([401, 'REMIT_DOOR_TOKEN_KEY']);
  });

  it('the claim that the configuration names says who somebody is, so that self-approval can be seen', async () => {
    const byMail = await startDoorWorld({
      REMIT_DOOR_ISSUER: issuerUrl,
      REMIT_DOOR_AUDIENCE: AUDIENCE,
      REMIT_DOOR_JWKS_URL: `${issuerUrl}/keys`,
      REMIT_DOOR_IDENTITY_CLAIM: 'email',
    });
    const come = async (more: object): Promise<[number, string, string]> => {
      const payload = { ...claims({ iss: issuerUrl, aud: AUDIENCE, roles: ['governance'] }), ...more };
      const token = await new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(issuerKey);
      const answer = await byMail.send('/v1/charters', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ text: CHARTER_TEXT }),
      });
      return [answer.status, answer.code, (answer.body as { activatedBy?: string }).activatedBy ?? ''];
    };
    try {
      expect(await come({ email: 'ann@bank.example' })).toEqual([200, 'done', 'ann@bank.example']);
      expect(await come({})).toEqual([401, 'REMIT_DOOR_TOKEN_SUBJECT', '']);
      expect(await come({ email: ['ann@bank.example'] })).toEqual([401, 'REMIT_DOOR_TOKEN_SUBJECT', '']);
      expect(await come({ email: 'ann@bank.example', email_verified: false })).toEqual([
        401,
        'REMIT_DOOR_TOKEN_SUBJECT',
        '',
      ]);
      expect(await come({ email: 'an\u3164n@bank.example' })).toEqual([401, 'REMIT_DOOR_TOKEN_SUBJECT', '']);
    } finally {
      await byMail.close();
    }
  });

  it('the start says where self-approval cannot be seen, and only there', async () => {
    const issuerSettings = {
      REMIT_DOOR_ISSUER: issuerUrl,
      REMIT_DOOR_AUDIENCE: AUDIENCE,
      REMIT_DOOR_JWKS_URL: `${issuerUrl}/keys`,
    };
    const warned = async (more: Record<string, string>): Promise<string | undefined> =>
      (await openDoor(readConfig({ ...issuerSettings, ...more }))).warning;
    expect(await warned({})).toMatch(/^REMIT_DOOR_SELF_APPROVAL_UNSEEN: .*REMIT_DOOR_IDENTITY_CLAIM/);
    expect(await warned({ REMIT_DOOR_IDENTITY_CLAIM: 'email' })).toBeUndefined();
  });
});

describe('a door that nobody has opened', () => {
  it('stays closed off loopback, where a dev key must not count', async () => {
    const world = await startDoorWorld({ HOST: '0.0.0.0' });
    try {
      const { status, code } = await world.call(GOVERNANCE, 'currentCharter');
      expect([status, code]).toEqual([503, 'REMIT_DOOR_CLOSED']);
    } finally {
      await world.close();
    }
  });
});
