import { Controller, Inject, Module } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import type { Batch, BatchHandler, BatchResult } from '#bus';
import { TOPICS } from '#contracts';
import { HealthController, JUDGING, JUDGING_CHECKS, JudgingModule, READINESS_CHECKS, SEGMENT } from '#service';

/** Judges what an agent may do by standing or temporary permission. */
@Controller()
class PermissionController {
  constructor(@Inject(SEGMENT) private readonly segment: BatchHandler) {}

  @MessagePattern(TOPICS.boundaryChecked.name, JUDGING)
  judge(@Payload() batch: Batch): Promise<BatchResult> {
    return this.segment(batch);
  }
}

@Module({
  imports: [JudgingModule.of(['permission'])],
  controllers: [PermissionController, HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: JUDGING_CHECKS }],
})
export class PermissionModule {}
