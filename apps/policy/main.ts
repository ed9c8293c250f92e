import { JUDGING, runService } from '#service';
import { PolicyModule } from './policy.module.js';

await runService({ name: 'policy', module: PolicyModule, transports: [JUDGING] });
