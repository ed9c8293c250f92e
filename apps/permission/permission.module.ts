import { Inject, Module } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { Batch, BatchHandler, BatchResult } from '#bus';
import { TOPICS } from '#contracts';
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
import { AUTHORITY_CHECKS, AuthorityModule } from './authority.module.js';
import { DoorModule } from './door/door.module.js';

const judging = JudgingModule.of(['permission']);
const authority = AuthorityModule.of(judging);

/** Judges what an agent may do by standing or temporary permission. */
@BatchController()
class PermissionController {
  constructor(@Inject(SEGMENT) private readonly segment: BatchHandler) {}

  @MessagePattern(TOPICS.boundaryChecked.name, JUDGING)
  judge(@Payload() batch: Batch): Promise<BatchResult> {
    return this.segment(batch);
  }
}

@Module({
  imports: [judging, authority, DoorModule.of(judging, authority)],
  controllers: [PermissionController, HealthController],
  providers: [
    {
      provide: READINESS_CHECKS,
      inject: [JUDGING_CHECKS, AUTHORITY_CHECKS],
      useFactory: (judged: readonly ReadinessCheck[], ordered: readonly ReadinessCheck[]) => [...judged, ...ordered],
    },
  ],
})
export class PermissionModule {}
