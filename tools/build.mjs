// Compiles into dist/ without starting anything: what the image needs.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './setup/build.mjs';

await build(dirname(dirname(fileURLToPath(import.meta.url))));
