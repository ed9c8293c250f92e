import { hash } from 'node:crypto';
import type { Sha256 } from '#domain';

/** Node's SHA-256, handed to the pure rules wherever they need a digest. */
export const sha256: Sha256 = (text) => hash('sha256', text);
