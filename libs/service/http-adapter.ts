import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';

/** An agent's or a grant's id as a part of a path, every character of it escaped. */
const LONGEST_PATH_PART = 1024;

/** How every process speaks HTTP: a path that no router can read is a problem (RFC 9457) as any other. */
export function httpAdapter(): FastifyAdapter {
  return new FastifyAdapter({
    routerOptions: { maxParamLength: LONGEST_PATH_PART },
    frameworkErrors: ({ statusCode = 400 }, _request: unknown, reply: FastifyReply) => {
      const code = 'REMIT_HTTP_PATH';
      void reply
        .status(statusCode)
        .headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' })
        .send(
          JSON.stringify({
            type: `urn:remit:problem:${code}`,
            title: 'A path that cannot be read',
            status: statusCode,
            code,
            detail: 'the path is badly escaped, or a part of it is longer than any id',
          }),
        );
    },
  });
}
