import { JUDGING, runService } from '#service';
import { AUTHORITY_TRANSPORTS } from '../permission/authority.module.js';
import { prepareDoor } from '../permission/door/prepare-door.js';
import { StandaloneModule } from './standalone.module.js';

await runService({
  name: 'standalone',
  module: StandaloneModule,
  transports: [JUDGING, ...AUTHORITY_TRANSPORTS],
  prepare: prepareDoor,
});
