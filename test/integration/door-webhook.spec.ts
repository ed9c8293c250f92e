import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { evolveAuthority, permissionEventSchema, type AgentAuthority } from '#domain';
import { HoldWebhook } from '../../apps/permission/door/hold-webhook.js';

const SECRET = Buffer.from('a secret of at least 24 bytes, for tests');
const ASKED_AT = Date.parse('2026-01-05T09:00:00.000Z');

function openRequest(): AgentAuthority {
  return evolveAuthority(
    undefined,
    permissionEventSchema.parse({
      event: 'PermissionRequested',
      agentId: 'clerk',
      version: 1,
      commandId: 'asked-1',
      at: new Date(ASKED_AT).toISOString(),
      by: 'clerk',
      reason: 'production data changes need two people',
      requestId: 'asked-1',
      needs: [{ permission: 'production_change', approvals: { count: 2, role: 'operations' } }],
      durationMs: 60_000,
      uses: 1,
      constraints: {},
      charterDigest: 'c'.repeat(64),
      expiresAt: new Date(ASKED_AT + 3_600_000).toISOString(),
    }),
  );
}

interface Delivery {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('whoever has to approve is told', () => {
  let receiver: Server;
  let url: string;
  let deliveries: Delivery[];
  let answers: number[];
  let arrived: () => void;
  let webhook: HoldWebhook | undefined;

  beforeEach(async () => {
    deliveries = [];
    answers = [];
    receiver = createServer((request, answer) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        deliveries.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
        answer.writeHead(answers.shift() ?? 200).end();
        arrived();
      });
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${String((receiver.address() as AddressInfo).port)}/holds`;
  });

  afterEach(async () => {
    await webhook?.stop();
    await new Promise((resolve) => receiver.close(resolve));
  });

  /** Announces one open request, until so many deliveries have arrived. */
  async function until(count: number, now: () => number): Promise<Delivery[]> {
    const authority = openRequest();
    const enough = new Promise<void>((resolve) => {
      arrived = () => {
        if (deliveries.length >= count) resolve();
      };
    });
    const open = { agentsWithOpen: () => ['clerk'], authority: () => authority, now };
    webhook = new HoldWebhook({ url, secret: SECRET, ageingMs: 900_000 }, open, {
      lookEveryMs: 5,
      firstRetryMs: 5,
      tries: 5,
    });
    webhook.start();
    await enough;
    return deliveries;
  }

  const typeOf = ({ body }: Delivery): unknown => (JSON.parse(body) as { type: unknown }).type;

  it('of a new hold, signed so that nobody can forge or change it', async () => {
    const [delivery] = await until(1, () => ASKED_AT + 1);
    const { headers, body } = delivery ?? { headers: {}, body: '' };
    expect(JSON.parse(body)).toMatchObject({
      type: 'request.opened',
      data: {
        requestId: 'asked-1',
        agentId: 'clerk',
        needs: [{ permission: 'production_change', count: 2, role: 'operations' }],
      },
    });
    const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
    const wanted = createHmac('sha256', SECRET).update(signed).digest();
    const [version, given = ''] = String(headers['webhook-signature']).split(',');
    expect(version).toBe('v1');
    expect(timingSafeEqual(Buffer.from(given, 'base64'), wanted)).toBe(true);
  });

  it('again after a failure, under the same id', async () => {
    answers = [500, 503];
    const tries = await until(3, () => ASKED_AT + 1);
    expect(tries.map(typeOf)).toEqual(['request.opened', 'request.opened', 'request.opened']);
    expect(new Set(tries.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  it('once more when it has been open for long', async () => {
    let now = ASKED_AT + 1;
    const reminded = until(2, () => now);
    now = ASKED_AT + 900_000;
    expect((await reminded).map(typeOf).sort()).toEqual(['request.ageing', 'request.opened']);
  });

  it('a receiver that sends it elsewhere is not followed', async () => {
    answers = [302, 302];
    const tries = await until(2, () => ASKED_AT + 1);
    expect(tries).toHaveLength(2);
  });
});
