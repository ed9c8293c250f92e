import { Module } from '@nestjs/common';
import { TOPICS } from '#contracts';
import {
  HealthController,
  JUDGING_CHECKS,
  judgingController,
  JudgingModule,
  READINESS_CHECKS,
  type ReadinessCheck,
} from '#service';
import { AUTHORITY_CHECKS, AuthorityModule } from './authority.module.js';
import { DoorModule } from './door/door.module.js';

const judging = JudgingModule.of(['permission']);
const authority = AuthorityModule.of(judging);

/** Judges what an agent may do by standing or temporary permission. */
@Module({
  imports: [judging, authority, DoorModule.of(judging, authority)],
  controllers: [judgingController(TOPICS.boundaryChecked), HealthController],
  providers: [
    {
      provide: READINESS_CHECKS,
      inject: [JUDGING_CHECKS, AUTHORITY_CHECKS],
      useFactory: (judged: readonly ReadinessCheck[], ordered: readonly ReadinessCheck[]) => [...judged, ...ordered],
    },
  ],
})
export class PermissionModule {}
