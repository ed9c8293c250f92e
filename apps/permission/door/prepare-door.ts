import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import rateLimit from '@fastify/rate-limit';
import { DOOR, DOOR_BODY_BYTES, DOOR_CHARTER_BYTES, DOOR_PREFIX } from '#contracts';
import { CONFIG } from '#service';
import type { Config } from '#config';
import { callerOf, PersonLimit } from './door-requests.js';
import { isDoorRequest, isDoorRoute } from './problems.js';

const CHARTER_PATH = `${DOOR_PREFIX}${DOOR.activateCharter.path}`;
const REQUEST_PATH = `${DOOR_PREFIX}${DOOR.request.path}`;

/**
 * What must be in place before the first route is: limits of size and rate, and headers that keep answers out of
 * caches. Health paths are left alone.
 */
export async function prepareDoor(app: NestFastifyApplication): Promise<void> {
  const { door } = app.get<Config>(CONFIG);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRoute', (route) => {
    if (!isDoorRoute(route.url)) return;
    route.bodyLimit = route.url === CHARTER_PATH ? DOOR_CHARTER_BYTES : DOOR_BODY_BYTES;
  });
  fastify.addHook('onRequest', (request, reply, done) => {
    if (isDoorRequest(request)) {
      void reply.headers({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
    }
    done();
  });
  await app.register(rateLimit, {
    max: door.perMinute,
    timeWindow: '1 minute',
    allowList: (request) => !isDoorRequest(request),
  });
  const ofPerson = fastify.createRateLimit({
    max: door.perMinute,
    timeWindow: '1 minute',
    keyGenerator: (request) => callerOf(request)?.name ?? '',
  });
  const requestsOfPerson = fastify.createRateLimit({
    max: door.asksPerMinute,
    timeWindow: '1 minute',
    keyGenerator: (request) => `requests of ${callerOf(request)?.name ?? ''}`,
  });
  app.get(PersonLimit).ask = async (request) => {
    const isRequest = request.method === 'POST' && request.routeOptions.url === REQUEST_PATH;
    for (const limit of isRequest ? [ofPerson, requestsOfPerson] : [ofPerson]) {
      const answer = await limit(request);
      if (!answer.isAllowed && answer.isExceeded) return answer.ttlInSeconds;
    }
    return undefined;
  };
}
