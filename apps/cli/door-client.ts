import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Config } from '#config';
import { DOOR, DOOR_PREFIX, IDEMPOTENCY_HEADER, problemSchema, type DoorOperation, type DoorProblem } from '#contracts';
import { inertText } from '#domain';
import { fail } from './command-failure.js';
import { credentialsFile, loginKeptFor, tokenFor } from './login.js';

type Answer<Operation extends DoorOperation> = z.output<(typeof DOOR)[Operation]['answer']>;

/** What a route takes, as it is sent: text in paths and queries, JSON in bodies. */
export interface Sending {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
  /** Of the order; made up when left out. */
  readonly id?: string | undefined;
}

const ANSWER_WITHIN_MS = 60_000;
const TRIES = 3;
/** For a question on the way to something else. */
const ACCEPTED_WITHIN_MS = 2000;

/** Goes through the door and back. What the door says against it is printed, and ends the command. */
export type DoorClient = <Operation extends DoorOperation>(
  operation: Operation,
  sending?: Sending,
) => Promise<Answer<Operation>>;

export async function openDoorClient(config: Config): Promise<DoorClient> {
  const token = await tokenFor(config);
  return async (operation, sending = {}) => {
    const { answer, method, path, orders } = DOOR[operation];
    const url = addressOf(config.doorUrl, path, sending);
    const id = sending.id ?? `cli:${randomUUID()}`;
    const headers = {
      authorization: `Bearer ${token}`,
      ...(sending.body === undefined ? {} : { 'content-type': 'application/json' }),
      // the same id at every try: whatever happens on the way, it counts once
      ...(orders ? { [IDEMPOTENCY_HEADER]: id } : {}),
    };
    for (let tries = 1; ; tries += 1) {
      const reply = await ask(url, {
        method: method.toUpperCase(),
        headers,
        redirect: 'error',
        ...(sending.body === undefined ? {} : { body: JSON.stringify(sending.body) }),
      });
      const data: unknown = await reply.json().catch(() => undefined);
      if (reply.ok) return answer.parse(data) as Answer<typeof operation>;
      const problem = problemSchema.safeParse(data);
      if (!problem.success)
        return fail(`REMIT_CLI_NO_DOOR: ${url.origin} answers ${String(reply.status)}, but is no door of Remit`);
      if (problem.data.code === 'REMIT_DOOR_NOT_CONFIRMED') {
        if (tries < TRIES) continue;
        return fail([problemText(problem.data), ...(await whyNotConfirmed(config, token, id))].join('\n'));
      }
      const kept = reply.status === 401 ? await loginKeptFor(config) : undefined;
      const whose =
        kept === undefined
          ? []
          : [
              `The login kept in ${credentialsFile(config)} was used: remit login makes a new one, remit logout forgets it.`,
            ];
      return fail([problemText(problem.data), ...whose].join('\n'));
    }
  };
}

/** What commands wait for, and how to ask again what came of this one. */
async function whyNotConfirmed(config: Config, token: string, id: string): Promise<string[]> {
  const found = await answerIfAny(config, token, 'discrepancies', { query: { status: 'open' } });
  const waiting = (found?.discrepancies ?? []).map(
    (one) => `  Commands wait for discrepancy ${one.id} (${inertText(one.says)}): remit log show ${one.id}`,
  );
  return [...waiting, `  ${IDEMPOTENCY_HEADER}: ${inertText(id)}; by HTTP, the same request with it counts once`];
}

/** Whether the control API accepts a token now. `false` as well when nobody answers. */
export async function isAccepted(config: Config, token: string): Promise<boolean> {
  // the least that any token may ask for: what waits for an agent that is not there
  return (await answerIfAny(config, token, 'requests', { query: { agent: 'nobody' } })) !== undefined;
}

/** The answer to a question on the way to something else; undefined when it is refused, or nobody answers soon. */
export async function answerIfAny<Operation extends DoorOperation>(
  { doorUrl }: Config,
  token: string,
  operation: Operation,
  sending: Sending = {},
): Promise<Answer<Operation> | undefined> {
  const { answer, path } = DOOR[operation];
  try {
    const reply = await fetch(addressOf(doorUrl, path, sending), {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'error',
      signal: AbortSignal.timeout(ACCEPTED_WITHIN_MS),
    });
    return reply.ok ? (answer.parse(await reply.json()) as Answer<Operation>) : undefined;
  } catch {
    return undefined;
  }
}

function addressOf(door: string, path: string, { params = {}, query = {} }: Sending): URL {
  const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const url = new URL(`${DOOR_PREFIX}${filled}`, door);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  return url;
}

async function ask(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  } catch {
    return fail(
      `REMIT_CLI_DOOR_UNREACHABLE: nobody answers at ${url.origin}. REMIT_DOOR_URL says where the door is; ` +
        'beside a running `npm start` it is known.',
    );
  }
}

/** Safe to print: parts of it may come from agents. */
export function problemText({ code, detail, problems = [] }: DoorProblem): string {
  const lines = problems.map(({ path, line, column, message, hint }) => {
    const where = line === undefined ? (path ?? '') : `${String(line)}:${String(column ?? 1)}`;
    return inertText(`  ${where}  ${message}${hint === undefined ? '' : ` (${hint})`}`);
  });
  return [`${code}: ${inertText(detail)}`, ...lines].join('\n');
}
