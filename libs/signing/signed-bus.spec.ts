import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryBus, MemoryLog, type Batch, type OutgoingMessage, type ReceivedMessage, type Unreadable } from '#bus';
import { EVENTS, SERVICE_ACCESS, SERVICES, sha256, TOPICS, writeEvent, type ServiceName } from '#contracts';
import { logDiscrepancy, type LogDiscrepancyEvent } from '#domain';
import { eventually, readDeadLetters } from '#testing';
import { createSigningKey, readSigningKey, TrustedKeys } from './keys.js';
import { MessageVerifier, SIGNATURE_HEADER } from './message-signature.js';
import { SignedBus } from './signed-bus.js';

const COMMANDS = TOPICS.permissionCommands.name;

function command(agentId: string): OutgoingMessage {
  const event = writeEvent(EVENTS.permissionCommand, {
    id: 'c-1',
    source: '/remit/test',
    subject: agentId,
    data: { command: 'SuspendAgent', agentId, commandId: 'c-1', by: 'olga', reason: 'incident 42' },
  });
  return { topic: COMMANDS, key: agentId, ...event };
}

const DISCREPANCY = logDiscrepancy(
  { kind: 'log-cut', topic: 'charter.events', partition: 0, reader: 'audit log', from: 3, to: 5 },
  sha256,
);

function discrepancyEvent(data: LogDiscrepancyEvent): OutgoingMessage {
  const event = writeEvent(EVENTS.logDiscrepancy, {
    ...{ id: `${DISCREPANCY.id}/${data.event}`, source: '/remit/test', subject: DISCREPANCY.id, data },
  });
  return { topic: TOPICS.logDiscrepancies.name, key: null, ...event };
}

const at = '2026-11-28T12:00:00.000Z';
const discrepancyFound = (): OutgoingMessage =>
  discrepancyEvent({ event: 'LogDiscrepancyFound', at, discrepancy: DISCREPANCY });
const acknowledgement = (): OutgoingMessage =>
  discrepancyEvent({ event: 'LogDiscrepancyAcknowledged', at, id: DISCREPANCY.id, by: 'gwen', reason: 'it is known' });

describe('messages that only Remit writes', () => {
  let folder: string;
  let log: MemoryLog;
  let plain: MemoryBus;
  let now: number;
  let refused: Unreadable[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'remit-signing-'));
    now = Date.parse('2026-11-28T12:00:00Z');
    log = new MemoryLog(() => (now += 1));
    plain = new MemoryBus(log);
    refused = [];
    await plain.ensureTopics(Object.values(TOPICS));
    for (const service of SERVICES) createSigningKey({ service, ...files(service) });
  });

  afterEach(async () => {
    await plain.close();
    rmSync(folder, { recursive: true });
  });

  function files(service: ServiceName) {
    return { keyFile: join(folder, `${service}.pem`), trustedKeysFile: join(folder, 'trusted.json') };
  }

  function busOf(service: ServiceName | undefined): SignedBus {
    return new SignedBus(plain, {
      signingKey: service && readSigningKey(files(service).keyFile),
      verifier: new MessageVerifier(new TrustedKeys(files('audit').trustedKeysFile)),
      onRefused: (unreadable) => refused.push(unreadable),
    });
  }

  /** What a reader of commands gets of all that lies on the topic. */
  async function received(topic = COMMANDS, bus = busOf('permission')): Promise<ReceivedMessage[]> {
    const messages: ReceivedMessage[] = [];
    const ends: number[] = [];
    let read = 0;
    const following = await bus.follow({ topics: [topic], from: 'start' }, (some, { nextOffset, partition }) => {
      messages.push(...some);
      ends[partition] = nextOffset;
      read = ends.reduce((sum, end) => sum + end, 0);
    });
    const wanted = [...((await plain.ends([topic])).get(topic) ?? [])].reduce((sum, end) => sum + end, 0);
    await eventually(() => read === wanted);
    await following.stop();
    return messages;
  }

  it('are read when the service that may write them has signed them', async () => {
    await busOf('permission').publish([command('risk-bot'), command('clerk')]);
    const messages = await received();
    expect(messages.map(({ writtenBy }) => writtenBy)).toEqual(['permission', 'permission']);
    expect(refused).toEqual([]);
  });

  it('are refused without a signature, as a dead letter that names the reason', async () => {
    await plain.publish([command('risk-bot')]);
    const handled: Batch[] = [];
    const consumption = await busOf('permission').consume({ group: 'commands', topics: [COMMANDS] }, (batch) => {
      handled.push(batch);
      return Promise.resolve({ publish: [], unreadable: [] });
    });
    await eventually(async () => (await readDeadLetters(plain, TOPICS.deadLetters.name)).length === 1);
    await consumption.stop();
    const [letter] = await readDeadLetters(plain, TOPICS.deadLetters.name);
    expect([letter?.code, letter?.topic]).toEqual(['REMIT_SIGNATURE_MISSING', COMMANDS]);
    expect(handled).toEqual([]);
  });

  it('are refused when a service signs what is not its own to write', async () => {
    await busOf('boundary').publish([command('risk-bot')]);
    expect(await received()).toEqual([]);
    expect(refused.map(({ code }) => code)).toEqual(['REMIT_SIGNATURE_NOT_ITS_TOPIC']);
  });

  const WRITE_DISCREPANCIES = SERVICES.filter((service) =>
    SERVICE_ACCESS[service].writes.some(({ name }) => name === TOPICS.logDiscrepancies.name),
  );

  it.each(WRITE_DISCREPANCIES)(
    'report a discrepancy in the name of %s, and acknowledge one only where people reach the control API',
    async (service) => {
      await busOf(service).publish([discrepancyFound(), acknowledgement()]);
      const read = (await received(TOPICS.logDiscrepancies.name)).map(
        ({ value }) => (JSON.parse(String(value)) as { data: { event: string } }).data.event,
      );
      if (service === 'permission' || service === 'standalone') {
        expect(read).toEqual(['LogDiscrepancyFound', 'LogDiscrepancyAcknowledged']);
        expect(refused).toEqual([]);
      } else {
        expect(read).toEqual(['LogDiscrepancyFound']);
        expect(refused.map(({ code }) => code)).toEqual(['REMIT_SIGNATURE_NOT_ITS_EVENT']);
      }
    },
  );

  it('are refused when a key that nobody trusts has signed them', async () => {
    const stranger = { service: 'permission', keyFile: join(folder, 'stranger.pem') } as const;
    createSigningKey({ ...stranger, trustedKeysFile: join(folder, 'elsewhere.json') });
    const bus = new SignedBus(plain, {
      signingKey: readSigningKey(stranger.keyFile),
      verifier: new MessageVerifier(new TrustedKeys(join(folder, 'elsewhere.json'))),
      onRefused: () => undefined,
    });
    await bus.publish([command('risk-bot')]);
    expect(await received()).toEqual([]);
    expect(refused.map(({ code }) => code)).toEqual(['REMIT_SIGNATURE_KEY_UNKNOWN']);
  });

  it.each<[string, (message: ReceivedMessage) => OutgoingMessage]>([
    [
      'another value',
      (message) => ({ ...message, value: Buffer.from(String(message.value).replace('risk-bot', 'clerk')) }),
    ],
    ['another key', (message) => ({ ...message, key: 'clerk' })],
    ['another topic', (message) => ({ ...message, topic: TOPICS.permissionEvents.name })],
    [
      'another way to read the value',
      (message) => ({ ...message, headers: { ...message.headers, 'content-type': 'application/json' } }),
    ],
    [
      'a signature cut short',
      (message) => ({
        ...message,
        headers: {
          ...message.headers,
          [SIGNATURE_HEADER]: (message.headers[SIGNATURE_HEADER] as Buffer).subarray(0, -1),
        },
      }),
    ],
    [
      'a signature given twice',
      (message) => {
        const header = message.headers[SIGNATURE_HEADER] as Buffer;
        return { ...message, headers: { ...message.headers, [SIGNATURE_HEADER]: [header, header] } };
      },
    ],
  ])('are refused when a signed one is copied with %s', async (_, forge) => {
    await busOf('permission').publish([command('risk-bot'), command('other')]);
    const [signed] = await received();
    const { topic, key, value, headers } = forge(signed as ReceivedMessage);
    await plain.publish([{ topic, key, value, headers: headers ?? {} }]);
    const before = refused.length;
    await received(topic);
    expect(refused.length - before).toBe(1);
  });

  it('may lie unsigned on the log from before keys were in use, and not after', async () => {
    await plain.publish([command('risk-bot')]);
    const { trustedKeysFile } = files('audit');
    const document = JSON.parse(readFileSync(trustedKeysFile, 'utf8')) as object;
    writeFileSync(trustedKeysFile, JSON.stringify({ ...document, unsignedUntil: new Date(now + 1).toISOString() }));
    await plain.publish([command('clerk')]);
    const messages = await received();
    expect(messages.map(({ key, writtenBy }) => [String(key), writtenBy])).toEqual([['risk-bot', 'unsigned']]);
  });

  it('go on counting after their key was taken out of use, and nothing later does', async () => {
    await busOf('permission').publish([command('risk-bot')]);
    const { trustedKeysFile } = files('audit');
    const document = JSON.parse(readFileSync(trustedKeysFile, 'utf8')) as { keys: { service: string }[] };
    const until = new Date(now + 1).toISOString();
    const keys = document.keys.map((key) => (key.service === 'permission' ? { ...key, until } : key));
    writeFileSync(trustedKeysFile, JSON.stringify({ keys }));
    const retired = readSigningKey(files('permission').keyFile);
    expect(() => new TrustedKeys(trustedKeysFile).mustTrust(retired, 'permission')).toThrow(/no longer in use/);
    await busOf('permission').publish([command('clerk')]);
    expect((await received()).map(({ key }) => String(key))).toEqual(['risk-bot']);
    expect(refused.map(({ code }) => code)).toEqual(['REMIT_SIGNATURE_KEY_UNKNOWN']);
  });

  it('are known to be Remit’s among the intents of agents, whose own headers change nothing', async () => {
    const intents = TOPICS.agentActions.name;
    const content = { value: '{}', headers: { 'content-type': 'application/cloudevents+json' } };
    await busOf('permission').publish([{ topic: intents, key: 'clerk', ...content }]);
    await plain.publish([
      { topic: intents, key: 'clerk', ...content },
      { topic: intents, key: 'clerk', ...content, headers: { ...content.headers, [SIGNATURE_HEADER]: 'nonsense' } },
    ]);
    expect((await received(intents)).map(({ writtenBy }) => writtenBy)).toEqual(['permission', undefined, undefined]);
    expect(refused).toEqual([]);
  });

  it('are signed in batches: one signature for many, and each can be checked by itself', async () => {
    const many = Array.from({ length: 300 }, (_, index) => command(`agent-${String(index)}`));
    await busOf('permission').publish(many);
    expect(await received()).toHaveLength(300);
    const signatures = new Set(
      (await received()).map(({ headers }) => (headers[SIGNATURE_HEADER] as Buffer).subarray(-64).toString('hex')),
    );
    expect(signatures.size).toBe(1);
  });
});

describe('signing keys', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'remit-signing-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are refused where others may read them, or where they are no Ed25519 key', () => {
    const key = {
      service: 'audit',
      keyFile: join(folder, 'key.pem'),
      trustedKeysFile: join(folder, 'trusted.json'),
    } as const;
    createSigningKey(key);
    expect(readSigningKey(key.keyFile).id).toMatch(/^[\w-]{43}$/);
    writeFileSync(join(folder, 'open.pem'), readFileSync(key.keyFile), { mode: 0o644 });
    expect(() => readSigningKey(join(folder, 'open.pem'))).toThrow(/chmod 600/);
    writeFileSync(join(folder, 'none.pem'), 'no key', { mode: 0o600 });
    expect(() => readSigningKey(join(folder, 'none.pem'))).toThrow(/cannot be used/);
    expect(() => createSigningKey(key)).toThrow(/is not overwritten: to rotate/);
  });

  it('say what is wrong with the file of trusted keys', () => {
    const file = join(folder, 'trusted.json');
    expect(() => new TrustedKeys(file)).toThrow(/there is no such file/);
    writeFileSync(file, '{"keys": [{"kty": "RSA"}]}');
    expect(() => new TrustedKeys(file)).toThrow(/keys\.0/);
  });
});
