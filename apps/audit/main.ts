import { Module } from '@nestjs/common';
import { BusModule, HealthController, READINESS_CHECKS, runService } from '#service';
import { AUDIT_CHECKS, AUDITING, AuditModule } from './audit.module.js';
import { ReconciliationModule } from './reconciliation.module.js';

@Module({
  imports: [BusModule, AuditModule, ReconciliationModule],
  controllers: [HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: AUDIT_CHECKS }],
})
class AuditServiceModule {}

await runService({ name: 'audit', module: AuditServiceModule, transports: [AUDITING] });
