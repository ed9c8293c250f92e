import { JUDGING, runService } from '#service';
import { AUDITING } from '../audit/audit.module.js';
import { StandaloneModule } from './standalone.module.js';

await runService({ name: 'standalone', module: StandaloneModule, transports: [JUDGING, AUDITING] });
