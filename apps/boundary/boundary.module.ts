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

/** Judges what an agent can never do. */
@BatchController()
class BoundaryController {
  constructor(@Inject(SEGMENT) private readonly segment: BatchHandler) {}

  @MessagePattern(TOPICS.agentActions.name, JUDGING)
  judge(@Payload() batch: Batch): Promise<BatchResult> {
    return this.segment(batch);
  }
}

@Module({
  imports: [JudgingModule.of(['boundary'])],
  controllers: [BoundaryController, HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: JUDGING_CHECKS }],
})
export class BoundaryModule {}
