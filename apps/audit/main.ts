import { Module } from '@nestjs/common';
import { HealthController, READINESS_CHECKS, runService } from '#service';
import { AUDIT_CHECKS, AUDITING, AuditModule } from './audit.module.js';

@Module({
  imports: [AuditModule],
  controllers: [HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: AUDIT_CHECKS }],
})
class AuditServiceModule {}

await runService({ name: 'audit', module: AuditServiceModule, transports: [AUDITING] });
