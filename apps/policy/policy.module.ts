import { Module } from '@nestjs/common';
import { TOPICS } from '#contracts';
import { HealthController, JUDGING_CHECKS, judgingController, JudgingModule, READINESS_CHECKS } from '#service';

/** Judges by the charter’s policies, folds all verdicts and publishes the decision. */
@Module({
  imports: [JudgingModule.of(['policy'])],
  controllers: [judgingController(TOPICS.scopeVerified), HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: JUDGING_CHECKS }],
})
export class PolicyModule {}
