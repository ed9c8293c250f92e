import { JUDGING, runService } from '#service';
import { PermissionModule } from './permission.module.js';

await runService({ name: 'permission', module: PermissionModule, transports: [JUDGING] });
