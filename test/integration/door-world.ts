import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { z } from 'zod';
import { MemoryBus, MemoryLog, type BatchTransport } from '#bus';
import { readConfig, type Config } from '#config';
import { DOOR, DOOR_PREFIX, problemSchema, TOPICS, type DoorOperation, type DoorProblem } from '#contracts';
import { permissionEventSchema } from '#domain';
import { MemoryEventStore } from '#event-store';
import {
  UNVERIFIED_BUS,
  CONFIG,
  COUNTING_STORE,
  devToken,
  ensureDevKey,
  httpAdapter,
  JUDGING,
  moduleWithIdentity,
  PEOPLES_BUS,
  PEOPLES_STORE,
  type DevKey,
} from '#service';
import { readTopic } from '#testing';
import { AUTHORITY_TRANSPORTS } from '../../apps/permission/authority.module.js';
import { prepareDoor } from '../../apps/permission/door/prepare-door.js';
import { PermissionModule } from '../../apps/permission/permission.module.js';

export interface DoorAnswer<Answer = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
  /** The problem's code; `done` when there is none. */
  readonly code: string;
  /** Throws when the door refused. */
  answer(): Answer;
  /** Throws when the door did not refuse. */
  problem(): DoorProblem;
}

/** A permission process as it is, on a log and a store in memory. */
export interface DoorWorld {
  readonly app: NestFastifyApplication;
  readonly config: Config;
  readonly log: MemoryLog;
  readonly bus: MemoryBus;
  readonly key: DevKey;
  readonly stateFolder: string;
  readonly url: string;
  /** A token of the dev key. */
  token(person: string, roles?: readonly string[]): Promise<string>;
  /** Sends as it is. */
  send(path: string, init?: RequestInit): Promise<DoorAnswer>;
  /** Goes through the door as a person. */
  call<Operation extends DoorOperation>(
    who: Who,
    operation: Operation,
    sending?: Sending,
  ): Promise<DoorAnswer<z.output<(typeof DOOR)[Operation]['answer']>>>;
  /** Everything on the log so far, as text. */
  everything(): Promise<string>;
  /** From here on nobody handles commands, as when every replica of the runtime is down. */
  haltRuntime(): Promise<void>;
  close(): Promise<void>;
}

export interface Who {
  readonly name: string;
  readonly roles?: readonly string[];
}

interface Sending {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly id?: string;
}

const IDENTITY = { service: 'permission' as const, name: 'remit-door', version: '0' };

export const GOVERNANCE: Who = { name: 'gwen', roles: ['governance'] };

export const CHARTER_TEXT = `
charter: door
stage: enforce
classifications: [public, internal]
systems:
  accounts: { classification: internal }
agents:
  clerk: { owner: support, scope: { actions: [view, unlock], systems: [accounts] }, permissions: [view] }
  cleaner: { scope: { actions: [delete], systems: [accounts] } }
permissions:
  view: {}
  admin_access: { max_duration: 15m, approvals: { count: 1, role: security } }
  production_change: { max_duration: 1h, approvals: { count: 2, role: operations } }
  send_report: { max_duration: 1h }
break_glass: { role: duty, max_duration: 10m }
`;

export async function startDoorWorld(environment: Readonly<Record<string, string>> = {}): Promise<DoorWorld> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'remit-door-'));
  const config = readConfig({
    KAFKA_BROKERS: '127.0.0.1:1',
    DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:1/nowhere',
    REMIT_STATE_DIR: stateFolder,
    REMIT_DOOR_PER_MINUTE: '100000',
    REMIT_DOOR_ASKS_PER_MINUTE: '100000',
    // a busy machine is slow; it is not wrong
    REMIT_DOOR_WAIT_MS: '60000',
    REMIT_VIEW_WAIT_MS: '60000',
    ...environment,
  });
  const log = new MemoryLog(Date.now);
  const bus = new MemoryBus(log);
  await bus.ensureTopics(Object.values(TOPICS));
  const store = new MemoryEventStore(permissionEventSchema);
  const testing = await Test.createTestingModule({ imports: [moduleWithIdentity(PermissionModule, IDENTITY)] })
    .overrideProvider(CONFIG)
    .useValue(config)
    .overrideProvider(UNVERIFIED_BUS)
    .useValue(bus)
    .overrideProvider(COUNTING_STORE)
    .useValue(store)
    .overrideProvider(PEOPLES_BUS)
    .useValue(bus)
    .overrideProvider(PEOPLES_STORE)
    .useValue(store)
    .compile();
  const app = testing.createNestApplication<NestFastifyApplication>(httpAdapter(), { logger: false });
  for (const transport of [JUDGING, ...AUTHORITY_TRANSPORTS]) {
    app.connectMicroservice<MicroserviceOptions>({ strategy: app.get(transport) });
  }
  await prepareDoor(app);
  await app.init();
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const key = await ensureDevKey(stateFolder);

  const token: DoorWorld['token'] = (person, roles = []) =>
    devToken(key, { person, roles, now: Date.now(), lifetimeMs: 600_000 });

  async function ask<Answer>(schema: z.ZodType<Answer>, path: string, init?: RequestInit): Promise<DoorAnswer<Answer>> {
    const reply = await fetch(new URL(path, url), init);
    const { status, headers, ok } = reply;
    const text = await reply.text();
    const body = (text === '' ? undefined : JSON.parse(text)) as unknown;
    const problem = (): DoorProblem => problemSchema.parse(body);
    const answer = (): Answer => {
      if (!ok) throw new Error(text);
      return schema.parse(body);
    };
    return { status, headers, text, body, code: ok ? 'done' : problem().code, answer, problem };
  }

  async function call(
    { name, roles }: Who,
    operation: DoorOperation,
    { params = {}, query = {}, body, id }: Sending = {},
  ): Promise<DoorAnswer> {
    const { method, path, answer } = DOOR[operation];
    const filled = path.replaceAll(/:(\w+)/g, (_, part: string) => encodeURIComponent(params[part] ?? ''));
    const search = new URLSearchParams(query).toString();
    return ask(answer as z.ZodType, `${DOOR_PREFIX}${filled}${search === '' ? '' : `?${search}`}`, {
      method: method.toUpperCase(),
      headers: {
        authorization: `Bearer ${await token(name, roles)}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(id === undefined ? {} : { 'idempotency-key': id }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  return {
    app,
    config,
    log,
    bus,
    key,
    stateFolder,
    url,
    token,
    send: (path, init) => ask(z.unknown(), path, init),
    // each operation has the answer its own schema gives it
    call: call as DoorWorld['call'],
    async everything() {
      const messages = await Promise.all(Object.values(TOPICS).map(({ name }) => readTopic(bus, name)));
      return messages
        .flat()
        .flatMap(({ key: itsKey, value, headers }) => [
          String(itsKey),
          String(value),
          ...Object.values(headers).map(String),
        ])
        .join('\n');
    },
    async haltRuntime() {
      for (const transport of AUTHORITY_TRANSPORTS) await app.get<BatchTransport>(transport).close();
    },
    async close() {
      await app.close();
      await rm(stateFolder, { recursive: true });
    },
  };
}
