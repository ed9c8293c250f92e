import { JUDGING, runService } from '#service';
import { AUDITING } from '../audit/audit.module.js';
import { AUTHORITY_TRANSPORTS } from '../permission/authority.module.js';
import { prepareDoor } from '../permission/door/prepare-door.js';
import { StandaloneModule } from './standalone.module.js';

await runService({
  name: 'standalone',
  module: StandaloneModule,
  transports: [JUDGING, ...AUTHORITY_TRANSPORTS, AUDITING],
  prepare: prepareDoor,
});
