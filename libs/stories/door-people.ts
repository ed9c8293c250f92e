import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DOOR, DOOR_PREFIX, IDEMPOTENCY_HEADER, type DoorOperation, type RequestView } from '#contracts';
import { durationMs } from '#domain';
import type { HeldIntent, People } from './story-player.js';
import type { StoryOrder } from './story.js';

/** Makes the token with which a person of a story comes to the door. */
export type TokenMaker = (person: string, roles: readonly string[]) => Promise<string>;

interface Call {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
}

interface Person {
  readonly by: string;
  readonly roles: readonly string[];
  readonly reason: string;
}

const ADMINISTRATOR: Person = { by: 'story', roles: ['governance'], reason: 'the story begins' };
/** A hold is opened right after its decision, by a machine that is not busy. */
const REQUEST_WITHIN_MS = 60_000;

/** The people of a story at the real door, over HTTP. */
export class DoorPeople implements People {
  constructor(
    private readonly doorUrl: string,
    private readonly tokenFor: TokenMaker,
  ) {}

  async activate(text: string): Promise<void> {
    await this.#call(ADMINISTRATOR, 'activateCharter', { body: { text } });
  }

  async order(order: Exclude<StoryOrder, { approve: unknown } | { reject: unknown }>): Promise<void> {
    if ('grant' in order) {
      const { agent, permission, for: duration, uses, reason } = order.grant;
      const body = { permission, durationMs: durationMs(duration), reason, ...(uses === undefined ? {} : { uses }) };
      await this.#call(order.grant, 'grant', { params: { agent }, body });
    } else if ('revoke_all' in order) {
      const { agent, reason } = order.revoke_all;
      await this.#call(order.revoke_all, 'revokeAll', { params: { agent }, query: { reason } });
    } else if ('suspend' in order) {
      const { agent, reason } = order.suspend;
      await this.#call(order.suspend, 'suspend', { params: { agent }, body: { reason } });
    } else {
      const { agent, reason } = order.reinstate;
      await this.#call(order.reinstate, 'reinstate', { params: { agent }, query: { reason } });
    }
  }

  async answer(held: HeldIntent, verdict: 'approve' | 'reject', person: Person): Promise<void> {
    const request = await this.#requestOf(held, person);
    const params = { request: request.requestId };
    const { agentId: agent, actionDigest } = held;
    const { reason } = person;
    if (verdict === 'approve') await this.#call(person, 'approve', { params, body: { agent, actionDigest, reason } });
    else await this.#call(person, 'reject', { params, body: { agent, reason } });
  }

  async #requestOf(held: HeldIntent, person: Person): Promise<RequestView> {
    const deadline = performance.now() + REQUEST_WITHIN_MS;
    for (;;) {
      const answer = await this.#call(person, 'requests', { query: { agent: held.agentId } });
      const { requests } = DOOR.requests.answer.parse(answer);
      const request = requests.find((one) => one.held?.intentId === held.intentId);
      if (request !== undefined) return request;
      if (performance.now() > deadline) throw new Error(`no request is open for intent ${held.intentId}`);
      await sleep(25);
    }
  }

  async #call(person: Person, operation: DoorOperation, { params = {}, query = {}, body }: Call): Promise<unknown> {
    const { method, path } = DOOR[operation];
    const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
    const url = new URL(`${DOOR_PREFIX}${filled}`, this.doorUrl);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const response = await fetch(url, {
      method: method.toUpperCase(),
      headers: {
        authorization: `Bearer ${await this.tokenFor(person.by, person.roles)}`,
        [IDEMPOTENCY_HEADER]: randomUUID(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`${operation} by ${person.by}: ${JSON.stringify(answer)}`);
    return answer;
  }
}
