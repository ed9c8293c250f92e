import { Module } from '@nestjs/common';
import { TOPICS } from '#contracts';
import { LAYERS } from '#domain';
import {
  HealthController,
  JUDGING_CHECKS,
  judgingController,
  JudgingModule,
  READINESS_CHECKS,
  type ReadinessCheck,
  WORKER_CHECKS,
  WorkerModule,
} from '#service';
import { AUTHORITY_CHECKS, AuthorityModule } from '../permission/authority.module.js';
import { DoorModule } from '../permission/door/door.module.js';

const judging = JudgingModule.of(LAYERS);
const authority = AuthorityModule.of(judging);

/** In a thread of its own, so that no batch of ciphers delays a decision. */
const audit = WorkerModule.of('audit', new URL('./audit-worker.js', import.meta.url));

/** All four layers as one segment: an intent comes in, its decision goes out, one hop. Audit runs beside them. */
@Module({
  imports: [judging, authority, audit, DoorModule.of(judging, authority)],
  controllers: [judgingController(TOPICS.agentActions), HealthController],
  providers: [
    {
      provide: READINESS_CHECKS,
      inject: [JUDGING_CHECKS, AUTHORITY_CHECKS, WORKER_CHECKS],
      useFactory: (...checks: readonly (readonly ReadinessCheck[])[]) => checks.flat(),
    },
  ],
})
export class StandaloneModule {}
