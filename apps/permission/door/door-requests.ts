import { randomUUID } from 'node:crypto';
import {
  applyDecorators,
  createParamDecorator,
  Delete,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Post,
  Put,
  StandardSchemaValidationPipe,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { IDEMPOTENCY_HEADER, idempotencyKeySchema, type DoorRoute } from '#contracts';
import { CONTROL_API_ID_PREFIX, NOT_FOR_PEOPLES_IDS } from '#domain';
import { DoorRefusal } from './problems.js';
import type { Person, VerifyToken } from './tokens.js';

/** Injection token of the door's {@link VerifyToken}. */
export const VERIFY_TOKEN = Symbol('remit.door.verify-token');

const METHODS = { get: Get, post: Post, put: Put, delete: Delete };

/** Makes a controller's method the way through the door that the route declares. */
export function Through(route: DoorRoute): MethodDecorator {
  return applyDecorators(METHODS[route.method](route.path), HttpCode(200));
}

const callers = new WeakMap<object, Person>();

/** Whether a person may ask once more; `undefined` seconds: yes, else after so many. */
export type LimitOfPerson = (request: FastifyRequest) => Promise<number | undefined>;

/** How often one person may ask, from whatever addresses. Set before the first request is taken. */
@Injectable()
export class PersonLimit {
  ask: LimitOfPerson = () => Promise.resolve(undefined);
}

/** Who sent a request that has come past the token guard. */
export function callerOf(request: FastifyRequest): Person | undefined {
  return callers.get(request);
}

/** Nobody comes in without a token that is accepted, nor more often than a person may. */
@Injectable()
export class TokenGuard implements CanActivate {
  constructor(
    @Inject(VERIFY_TOKEN) private readonly verify: VerifyToken,
    @Inject(PersonLimit) private readonly limit: PersonLimit,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const token = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) {
      throw new DoorRefusal(401, 'REMIT_DOOR_TOKEN_MISSING', 'send your token as authorization: Bearer …');
    }
    callers.set(request, await this.verify(token));
    const seconds = await this.limit.ask(request);
    if (seconds === undefined) return true;
    const detail = 'you ask too often, from whatever address; wait as long as retry-after says';
    throw new DoorRefusal(429, 'REMIT_DOOR_TOO_MANY_REQUESTS', detail, {}, seconds);
  }
}

/** Who sent the request. */
export const Caller = createParamDecorator((_: unknown, context: ExecutionContext): Person => {
  const person = callers.get(context.switchToHttp().getRequest<FastifyRequest>());
  if (person === undefined) throw new Error('a route of the door is not behind the token guard');
  return person;
});

/** The id of what is ordered: the caller's own, so that sending it again is safe, or a new one. */
export const CommandId = createParamDecorator((_: unknown, context: ExecutionContext): string => {
  const key = context.switchToHttp().getRequest<FastifyRequest>().headers[IDEMPOTENCY_HEADER];
  if (key === undefined) return `${CONTROL_API_ID_PREFIX}${randomUUID()}`;
  const checked = idempotencyKeySchema.safeParse(key);
  if (!checked.success || NOT_FOR_PEOPLES_IDS.some((prefix) => checked.data.startsWith(prefix))) {
    const detail = `the Idempotency-Key must be 1-128 letters, digits or . _ : - and not begin with ${NOT_FOR_PEOPLES_IDS.join(' or ')}`;
    throw new DoorRefusal(400, 'REMIT_DOOR_IDEMPOTENCY_KEY', detail);
  }
  return checked.data;
});

const MOST_PROBLEMS = 50;

/** What does not fit a route's schema, each with its path. Messages are the schema's own words and quote nothing. */
export const fitting = new StandardSchemaValidationPipe({
  exceptionFactory: (issues) => {
    const problems = issues.slice(0, MOST_PROBLEMS).map(({ message, path = [] }) => ({
      path: path
        .map((part) => String(typeof part === 'object' ? part.key : part))
        .join('.')
        .slice(0, 256),
      message: message.slice(0, 512),
    }));
    return new DoorRefusal(400, 'REMIT_DOOR_INVALID', 'what was sent does not fit, see problems', { problems });
  },
});
