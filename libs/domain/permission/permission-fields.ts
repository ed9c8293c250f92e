import { z } from 'zod';
import { plainTextSchema } from '../record/plain-text.js';

export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest in lower-case hex');

export const timeSchema = z.iso.datetime({ precision: 3 }).describe('RFC 3339, UTC, milliseconds.');

export const permissionNameSchema = plainTextSchema(128);

/** Ids of commands, and of what they make. Those with `#` are derived: no person and no agent may give one. */
export const permissionIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:#-]{0,255}$/, 'must be 1-256 letters, digits or . _ : -');

/** As people, agents and the wiring give them: short enough that ids can be derived from them. */
export const givenIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, 'must be 1-128 letters, digits or . _ : -');
