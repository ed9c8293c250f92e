import { Module } from '@nestjs/common';
import { TOPICS } from '#contracts';
import { HealthController, JUDGING_CHECKS, judgingController, JudgingModule, READINESS_CHECKS } from '#service';

/** Judges whether the agent was meant to do this at all. */
@Module({
  imports: [JudgingModule.of(['verification'])],
  controllers: [judgingController(TOPICS.permissionChecked), HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: JUDGING_CHECKS }],
})
export class VerifierModule {}
