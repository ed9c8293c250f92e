import { JUDGING, runService } from '#service';
import { AUTHORITY_TRANSPORTS } from './authority.module.js';
import { prepareDoor } from './door/prepare-door.js';
import { PermissionModule } from './permission.module.js';

await runService({
  name: 'permission',
  module: PermissionModule,
  transports: [JUDGING, ...AUTHORITY_TRANSPORTS],
  prepare: prepareDoor,
});
