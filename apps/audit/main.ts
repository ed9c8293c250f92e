import { runService } from '#service';
import { AUDITING } from './audit.module.js';
import { AuditServiceModule } from './audit-service.module.js';

await runService({ name: 'audit', module: AuditServiceModule, transports: [AUDITING] });
