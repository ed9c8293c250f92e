import { JUDGING, runService } from '#service';
import { BoundaryModule } from './boundary.module.js';

await runService({ name: 'boundary', module: BoundaryModule, transports: [JUDGING] });
