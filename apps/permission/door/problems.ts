import type { FastifyRequest } from 'fastify';
import { DOOR_PREFIX, type DoorProblem } from '#contracts';
import type { RefusalCode } from '#domain';

type Details = Pick<DoorProblem, 'commandId' | 'problems'>;

/** Why the door does not do what it was asked. Safe to show to whoever asked. */
export class DoorRefusal extends Error {
  override readonly name = 'DoorRefusal';

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly details: Details = {},
    /** For the header `retry-after`. */
    readonly retryAfterSeconds?: number,
  ) {
    super(`${code}: ${detail}`);
  }
}

/** The HTTP status of each refusal of an order. 422: the order can never be right; 409: not now, or not any more. */
const STATUS_OF_REFUSAL: Record<RefusalCode, number> = {
  REMIT_PERMISSION_AGENT_UNKNOWN: 404,
  REMIT_PERMISSION_AGENT_SUSPENDED: 409,
  REMIT_PERMISSION_AGENT_NOT_SUSPENDED: 409,
  REMIT_PERMISSION_NO_CHARTER: 409,
  REMIT_PERMISSION_UNKNOWN: 404,
  REMIT_PERMISSION_NAMED_TWICE: 422,
  REMIT_PERMISSION_DURATION: 422,
  REMIT_PERMISSION_USES: 422,
  REMIT_PERMISSION_WAIT: 422,
  REMIT_PERMISSION_CONSTRAINT_EMPTY: 422,
  REMIT_PERMISSION_CONSTRAINT_WRONG: 422,
  REMIT_PERMISSION_BINDING_MISSING: 422,
  REMIT_PERMISSION_NOBODY_APPROVES: 422,
  REMIT_PERMISSION_APPROVALS_NEEDED: 403,
  REMIT_PERMISSION_SELF_APPROVAL: 403,
  REMIT_PERMISSION_ROLE_MISSING: 403,
  REMIT_PERMISSION_ALREADY_APPROVED: 409,
  REMIT_PERMISSION_OTHER_ACTION: 409,
  REMIT_PERMISSION_ID_TAKEN: 409,
  REMIT_PERMISSION_REQUEST_UNKNOWN: 404,
  REMIT_PERMISSION_REQUEST_GRANTED: 409,
  REMIT_PERMISSION_REQUEST_REJECTED: 409,
  REMIT_PERMISSION_REQUEST_EXPIRED: 409,
  REMIT_PERMISSION_REQUEST_CANCELLED: 409,
  REMIT_PERMISSION_REQUEST_SUPERSEDED: 409,
  REMIT_PERMISSION_NOT_REQUESTER: 403,
  REMIT_PERMISSION_GRANT_UNKNOWN: 404,
  REMIT_PERMISSION_GRANT_EXPIRED: 409,
  REMIT_PERMISSION_GRANT_REVOKED: 409,
  REMIT_PERMISSION_NOTHING_TO_REVOKE: 409,
  REMIT_PERMISSION_USES_UNLIMITED: 409,
  REMIT_PERMISSION_NO_USE_LEFT: 409,
  REMIT_PERMISSION_TOO_MANY_OPEN: 409,
  REMIT_PERMISSION_TOO_MANY_GRANTS: 409,
  REMIT_PERMISSION_USE_UNKNOWN: 404,
  REMIT_PERMISSION_NO_BREAK_GLASS: 403,
  REMIT_PERMISSION_NO_OPEN_REVIEW: 409,
};

/** What the log says against an order. */
export function refusalOf(code: RefusalCode, problem: string, commandId: string): DoorRefusal {
  return new DoorRefusal(STATUS_OF_REFUSAL[code], code, problem, { commandId });
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'What was sent does not fit',
  401: 'No accepted token',
  403: 'Not allowed',
  404: 'There is no such thing',
  405: 'Not that method',
  409: 'Not in a state for that',
  413: 'Too large',
  414: 'Too long',
  415: 'Not JSON',
  422: 'Refused',
  429: 'Too many requests',
  500: 'Something went wrong inside',
  503: 'No answer in time',
};

/** What Fastify and Nest refuse before the door is asked. Their own words may quote what was sent: these do not. */
const BY_STATUS: Readonly<Record<number, readonly [code: string, detail: string]>> = {
  400: ['REMIT_DOOR_MALFORMED', 'the request is not well-formed: send a JSON object as the API description says'],
  404: ['REMIT_DOOR_NO_SUCH_PATH', 'the door has no such path; docs/reference/openapi.json lists all'],
  405: ['REMIT_DOOR_NO_SUCH_METHOD', 'the path does not take that method'],
  413: ['REMIT_DOOR_BODY_TOO_LARGE', 'the body is larger than this path takes'],
  414: ['REMIT_DOOR_PATH_TOO_LONG', 'a part of the path is longer than any id'],
  415: ['REMIT_DOOR_NOT_JSON', 'send the body as content-type: application/json'],
  429: ['REMIT_DOOR_TOO_MANY_REQUESTS', 'this address asks too often; wait as long as retry-after says'],
};

/** An error as the person may see it: never a stack, never what was sent. */
export function problemOf(error: unknown): DoorProblem {
  if (error instanceof DoorRefusal) {
    const { status, code, detail, details } = error;
    return problem(status, code, detail, details);
  }
  const { code, status } = factsOf(error);
  if (/^REMIT_(BUS|EVENT_STORE)_/.test(code)) {
    return problem(503, 'REMIT_DOOR_UNAVAILABLE', `the log or the store does not answer (${code}): try again`);
  }
  const known = BY_STATUS[status];
  if (known !== undefined) return problem(status, ...known);
  if (status >= 400 && status < 500) return problem(status, 'REMIT_DOOR_REFUSED', 'the request was refused');
  return problem(500, 'REMIT_DOOR_FAILED', 'something went wrong inside; the log of the permission service says what');
}

function problem(status: number, code: string, detail: string, details: Details = {}): DoorProblem {
  return { type: `urn:remit:problem:${code}`, title: TITLES[status] ?? 'Refused', status, code, detail, ...details };
}

/** Errors are recognised by what they say of themselves: Fastify's by `statusCode`, Nest's by `getStatus`. */
function factsOf(error: unknown): { code: string; status: number } {
  if (typeof error !== 'object' || error === null) return { code: '', status: 500 };
  const { code, statusCode, status } = error as { code?: unknown; statusCode?: unknown; status?: unknown };
  const stated = [statusCode, status].find((value) => typeof value === 'number');
  return { code: typeof code === 'string' ? code : '', status: stated ?? 500 };
}

/** Whether a request goes to the door: by the route it was given to, whichever way its path is written. */
export function isDoorRequest({ routeOptions }: Pick<FastifyRequest, 'routeOptions'>): boolean {
  return isDoorRoute(routeOptions.url);
}

/** Whether a route, by its own path, is one of the door. */
export function isDoorRoute(path: string | undefined): boolean {
  return path?.startsWith(DOOR_PREFIX) === true;
}
