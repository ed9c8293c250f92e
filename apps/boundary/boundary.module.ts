import { Module } from '@nestjs/common';
import { TOPICS } from '#contracts';
import { HealthController, JUDGING_CHECKS, judgingController, JudgingModule, READINESS_CHECKS } from '#service';

/** Judges what an agent can never do. */
@Module({
  imports: [JudgingModule.of(['boundary'])],
  controllers: [judgingController(TOPICS.agentActions), HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: JUDGING_CHECKS }],
})
export class BoundaryModule {}
