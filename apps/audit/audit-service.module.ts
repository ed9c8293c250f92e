import { Module } from '@nestjs/common';
import { BusModule, HealthController, READINESS_CHECKS } from '#service';
import { AUDIT_CHECKS, AuditModule } from './audit.module.js';
import { ReconciliationModule } from './reconciliation.module.js';

/** All of audit: it keeps every message, makes the audit log provable, and looks for discrepancies. */
@Module({
  imports: [BusModule, AuditModule, ReconciliationModule],
  controllers: [HealthController],
  providers: [{ provide: READINESS_CHECKS, useExisting: AUDIT_CHECKS }],
})
export class AuditServiceModule {}
