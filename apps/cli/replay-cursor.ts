import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { messageOf } from '#bus';
import { replayReportSchema } from '#domain';
import { fail } from './command-failure.js';

const cursorSchema = z.strictObject({
  /** What is being replayed: a cursor goes on with the same question only. */
  question: z.string(),
  after: z.strictObject({
    topic: z.string(),
    partition: z.int().min(0),
    offset: z.int().min(0),
    appendTime: z.int(),
  }),
  report: replayReportSchema,
});

/** How far a replay has come, and what came of it so far. */
export type ReplayCursor = z.infer<typeof cursorSchema>;

/** The cursor of an interrupted replay; `undefined` when there is none. Ends the command when it is of another one. */
export async function readCursor(file: string, question: string): Promise<ReplayCursor | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return fail(`REMIT_REPLAY_CURSOR: cannot read ${file}: ${messageOf(error)}`);
  }
  const cursor = parsed(text);
  if (cursor === undefined) fail(`REMIT_REPLAY_CURSOR: ${file} is no cursor of a replay; remove it to start again`);
  if (cursor.question !== question) {
    fail(`REMIT_REPLAY_CURSOR: ${file} belongs to another replay (${cursor.question}); use another file`);
  }
  return cursor;
}

function parsed(text: string): ReplayCursor | undefined {
  try {
    return cursorSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Whole or not at all: a crash leaves the cursor before. */
export async function writeCursor(file: string, cursor: ReplayCursor): Promise<void> {
  const draft = `${file}.${String(process.pid)}`;
  try {
    await writeFile(draft, JSON.stringify(cursor));
    await rename(draft, file);
  } catch (error) {
    fail(`REMIT_REPLAY_CURSOR: cannot write ${file}: ${messageOf(error)}`);
  }
}
