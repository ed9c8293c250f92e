import { Catch, Logger, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DOOR_PREFIX } from '#contracts';
import { DoorRefusal, isDoorRequest, problemOf } from './problems.js';

/** Every error of the door as RFC 9457 problem details; other paths of the process keep their own answers. */
@Catch()
export class ProblemFilter extends BaseExceptionFilter {
  readonly #log = new Logger('door');

  override catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    if (!isDoorRequest(request) && !request.url.startsWith(DOOR_PREFIX)) {
      super.catch(error, host);
      return;
    }
    const problem = problemOf(error);
    if (problem.status === 500)
      this.#log.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const reply = http.getResponse<FastifyReply>();
    if (problem.status === 401) void reply.header('www-authenticate', 'Bearer realm="remit"');
    if (problem.status === 503) void reply.header('retry-after', '1');
    if (error instanceof DoorRefusal && error.retryAfterSeconds !== undefined)
      void reply.header('retry-after', String(error.retryAfterSeconds));
    void reply.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  }
}
