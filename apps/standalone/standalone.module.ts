import { Inject, Module } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { Batch, BatchHandler, BatchResult } from '#bus';
import { TOPICS } from '#contracts';
import { LAYERS } from '#domain';
import {
  BatchController,
  HealthController,
  JUDGING,
  JUDGING_CHECKS,
  JudgingModule,
  READINESS_CHECKS,
  SEGMENT,
  type ReadinessCheck,
} from '#service';
import { AUDIT_CHECKS, AuditModule } from '../audit/audit.module.js';
import { ReconciliationModule } from '../audit/reconciliation.module.js';
import { AUTHORITY_CHECKS, AuthorityModule } from '../permission/authority.module.js';
import { DoorModule } from '../permission/door/door.module.js';

const judging = JudgingModule.of(LAYERS);
const authority = AuthorityModule.of(judging);

/** All four layers as one segment: an intent comes in, its decision goes out, one hop. */
@BatchController()
class SegmentController {
  constructor(@Inject(SEGMENT) private readonly segment: BatchHandler) {}

  @MessagePattern(TOPICS.agentActions.name, JUDGING)
  judge(@Payload() batch: Batch): Promise<BatchResult> {
    return this.segment(batch);
  }
}

@Module({
  imports: [judging, authority, AuditModule, ReconciliationModule, DoorModule.of(judging, authority)],
  controllers: [SegmentController, HealthController],
  providers: [
    {
      provide: READINESS_CHECKS,
      inject: [JUDGING_CHECKS, AUTHORITY_CHECKS, AUDIT_CHECKS],
      useFactory: (...checks: readonly (readonly ReadinessCheck[])[]) => checks.flat(),
    },
  ],
})
export class StandaloneModule {}
