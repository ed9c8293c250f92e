import { runInWorker } from '#service';
import { AUDITING } from '../audit/audit.module.js';
import { AuditServiceModule } from '../audit/audit-service.module.js';

await runInWorker({ module: AuditServiceModule, transports: [AUDITING] });
