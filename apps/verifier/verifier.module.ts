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
} from '#service';

/** Judges whether the agent was meant to do this at all. */
@BatchController()
class VerifierController {
  constructor(@Inject(SEGMENT) private readonly segment: BatchHandler) {}

  @MessagePattern(TOPICS.permissionChecked.name, JUDGING)
  judge(@Payload() batch: Batch): Promise<BatchResult> {
    return this.segment(batch);
  }
}

@Module({
  imports: [JudgingModule.of(['verification'])],
  controllers: [VerifierController, HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: JUDGING_CHECKS }],
})
export class VerifierModule {}
