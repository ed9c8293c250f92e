import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { WebhookConfig } from '#config';
import { sha256, type RequestView } from '#contracts';
import type { AgentAuthority } from '#domain';
import { isoTime, requestView } from './shown-to-people.js';

type Announcement = 'request.opened' | 'request.ageing';

/** Where open requests are found: in what the log says now. */
export interface OpenRequests {
  /** Agents of which something is open: it is asked every second. */
  readonly agentsWithOpen: () => Iterable<string>;
  readonly authority: (agentId: string) => AgentAuthority | undefined;
  /** ms since the epoch */
  readonly now: () => number;
}

/** Between the tries of one announcement, ms: doubling from the first. */
export interface Patience {
  readonly lookEveryMs: number;
  readonly firstRetryMs: number;
  readonly tries: number;
}

const PATIENCE: Patience = { lookEveryMs: 1000, firstRetryMs: 1000, tries: 8 };
const ANSWER_WITHIN_MS = 5000;
const AT_ONCE = 4;

/**
 * Announces each request once it is open, and again when it has been open for long, as Standard Webhooks has it. What
 * is announced follows from the state, not from a queue: after a restart whatever is still open is announced again,
 * under the same `webhook-id`. Judging never waits for it.
 */
export class HoldWebhook {
  readonly #log = new Logger('webhook');
  readonly #announced = new Set<string>();
  readonly #stopping = new AbortController();
  #rounds: Promise<void> | undefined;

  constructor(
    private readonly config: WebhookConfig,
    private readonly open: OpenRequests,
    private readonly patience: Patience = PATIENCE,
  ) {}

  start(): void {
    this.#rounds = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#rounds;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const due = this.#due();
      for (let first = 0; first < due.length && !signal.aborted; first += AT_ONCE) {
        await Promise.all(due.slice(first, first + AT_ONCE).map((one) => this.#announce(one)));
      }
      await pause(this.patience.lookEveryMs, signal);
    }
  }

  /** What is open and not announced yet. What has ended is forgotten. */
  #due(): { type: Announcement; view: RequestView; key: string }[] {
    const time = this.open.now();
    const views = [...this.open.agentsWithOpen()].flatMap((agentId) =>
      [...(this.open.authority(agentId)?.requests.values() ?? [])]
        .map((request) => requestView(agentId, request, time))
        .filter(({ status }) => status === 'open'),
    );
    const current = views.flatMap((view) => {
      const isAgeing = time - Date.parse(view.requestedAt) >= this.config.ageingMs;
      const types: Announcement[] = isAgeing ? ['request.opened', 'request.ageing'] : ['request.opened'];
      return types.map((type) => ({ type, view, key: `${type}\n${view.agentId}\n${view.requestId}` }));
    });
    const keys = new Set(current.map(({ key }) => key));
    for (const key of this.#announced) if (!keys.has(key)) this.#announced.delete(key);
    return current.filter(({ key }) => !this.#announced.has(key));
  }

  async #announce({ type, view, key }: { type: Announcement; view: RequestView; key: string }): Promise<void> {
    this.#announced.add(key);
    const { requestId, agentId, needs, expiresAt, requestedAt, reason, held } = view;
    const data = {
      requestId,
      agentId,
      requestedAt,
      expiresAt,
      reason,
      needs: needs.map(({ permission, approvals }) => ({ permission, ...approvals })),
      ...(held === undefined ? {} : { action: held.action, actionDigest: held.actionDigest, chainId: held.chainId }),
    };
    const id = `msg_${sha256(key).slice(0, 32)}`;
    const { signal } = this.#stopping;
    for (let tries = 1; !signal.aborted; tries += 1) {
      const now = this.open.now();
      const body = JSON.stringify({ type, timestamp: isoTime(now), data });
      const problem = await this.#send(id, Math.floor(now / 1000), body);
      if (problem === undefined) return;
      if (tries === this.patience.tries) {
        this.#log.warn(
          `REMIT_WEBHOOK_GIVEN_UP: ${type} of ${requestId} was not delivered in ${tries} tries: ${problem}`,
        );
        return;
      }
      await pause(this.patience.firstRetryMs * 2 ** (tries - 1), signal);
    }
  }

  async #send(id: string, timestamp: number, body: string): Promise<string | undefined> {
    try {
      const answer = await fetch(this.config.url, {
        method: 'POST',
        body,
        redirect: 'error',
        headers: { 'content-type': 'application/json', ...signatureHeaders(this.config.secret, id, timestamp, body) },
        signal: AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
      });
      await answer.body?.cancel();
      return answer.ok ? undefined : `status ${answer.status}`;
    } catch (error) {
      return error instanceof Error ? error.name : 'no answer';
    }
  }
}

/** The headers of Standard Webhooks: whoever has the secret can tell who sent it, and that nobody changed it. */
export function signatureHeaders(secret: Uint8Array, id: string, timestamp: number, body: string) {
  const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,${signature}` };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
