import { JUDGING, runService } from '#service';
import { VerifierModule } from './verifier.module.js';

await runService({ name: 'verifier', module: VerifierModule, transports: [JUDGING] });
