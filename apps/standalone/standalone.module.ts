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
} from '#service';
import { AUDIT_CHECKS, AuditModule } from '../audit/audit.module.js';
import { ReconciliationModule } from '../audit/reconciliation.module.js';
import { AUTHORITY_CHECKS, AuthorityModule } from '../permission/authority.module.js';
import { DoorModule } from '../permission/door/door.module.js';

const judging = JudgingModule.of(LAYERS);
const authority = AuthorityModule.of(judging);

/** All four layers as one segment: an intent comes in, its decision goes out, one hop. */
@Module({
  imports: [judging, authority, AuditModule, ReconciliationModule, DoorModule.of(judging, authority)],
  controllers: [judgingController(TOPICS.agentActions), HealthController],
  providers: [
    {
      provide: READINESS_CHECKS,
      inject: [JUDGING_CHECKS, AUTHORITY_CHECKS, AUDIT_CHECKS],
      useFactory: (...checks: readonly (readonly ReadinessCheck[])[]) => checks.flat(),
    },
  ],
})
export class StandaloneModule {}
