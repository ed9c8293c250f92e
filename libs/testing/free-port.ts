import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = join(import.meta.dirname, '../..').replace(/[/\\]dist$/, '');
/** Below what systems give to outgoing connections: one of those could take a port while nobody listens there. */
const FIRST_PORT = 18_200;

/** A port on loopback that belongs to this process, whether it listens there or not. */
export async function freePort(): Promise<number> {
  const ports = (await import(pathToFileURL(join(ROOT, 'tools/backends/ports.mjs')).href)) as {
    readonly freePort: (preferred: number) => Promise<number>;
  };
  return ports.freePort(FIRST_PORT);
}
