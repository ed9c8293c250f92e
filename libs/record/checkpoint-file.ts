import { appendFile, open, stat, truncate } from 'node:fs/promises';
import { checkpointSchema, type Checkpoint } from '#domain';
import { RecordError } from './record-error.js';

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 10;

/**
 * Every checkpoint as it was signed, one JSON object a line, oldest first: for an auditor to keep elsewhere. It is only
 * ever added to. Records that share a key folder share the file. Throws `REMIT_RECORD_CHECKPOINT_NOT_KEPT`.
 */
export class CheckpointFile {
  constructor(private readonly path: string) {}

  /** The last epoch of this record that the file holds; 0 when there is none. */
  async lastEpochOf(record: string): Promise<number> {
    for await (const { body } of this.#fromTheEnd()) if (body.record === record) return body.epoch;
    return 0;
  }

  /** Those of this record after an epoch, by epoch. */
  async after(record: string, epoch: number): Promise<readonly Checkpoint[]> {
    const found: Checkpoint[] = [];
    for await (const checkpoint of this.#fromTheEnd()) {
      if (checkpoint.body.record !== record) continue;
      if (checkpoint.body.epoch <= epoch) break;
      found.push(checkpoint);
    }
    return found.reverse();
  }

  /** Whether this very checkpoint is in it. */
  async holds({ body: { record, epoch }, signature }: Checkpoint): Promise<boolean> {
    for await (const kept of this.#fromTheEnd()) {
      if (kept.body.record !== record) continue;
      if (kept.signature === signature) return true;
      if (kept.body.epoch < epoch) return false;
    }
    return false;
  }

  /** Only one process may be adding at a time. */
  async add(checkpoints: readonly Checkpoint[]): Promise<void> {
    if (checkpoints.length === 0) return;
    const lines = checkpoints.map((checkpoint) => `${JSON.stringify(checkpoint)}\n`).join('');
    await this.#orSayWhy(async () => {
      await appendFile(this.path, `${await this.#endOfLastLine()}${lines}`, { flush: true });
    });
  }

  /** What the last line needs to be one: nothing, as a rule. Half a line, from a process that died, is taken away. */
  async #endOfLastLine(): Promise<'' | '\n'> {
    for await (const tail of linesFromEnd(this.path)) {
      if (tail === '') return '';
      if (checkpointIn(tail) !== undefined) return '\n';
      await truncate(this.path, (await stat(this.path)).size - tail.length);
      return '';
    }
    return '';
  }

  async *#fromTheEnd(): AsyncGenerator<Checkpoint> {
    const lines = linesFromEnd(this.path);
    try {
      for (;;) {
        const next = await this.#orSayWhy(() => lines.next());
        if (next.done === true) return;
        const checkpoint = checkpointIn(next.value);
        if (checkpoint !== undefined) yield checkpoint;
      }
    } finally {
      await lines.return(undefined);
    }
  }

  async #orSayWhy<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw new RecordError(
        'REMIT_RECORD_CHECKPOINT_NOT_KEPT',
        `${this.path} cannot be kept: ${error instanceof Error ? error.message : String(error)}. What was signed stands ` +
          'in the database, and is added to the file with the next checkpoint once that can be written',
        { cause: error },
      );
    }
  }
}

function checkpointIn(line: string): Checkpoint | undefined {
  try {
    return checkpointSchema.parse(JSON.parse(Buffer.from(line, 'latin1').toString('utf8')));
  } catch {
    return undefined;
  }
}

/** The lines of a file, last one first, a character for each byte. The first of all is what stands behind the last newline: nothing, as a rule. */
async function* linesFromEnd(path: string): AsyncGenerator<string, void> {
  const handle = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    let { size: at } = await handle.stat();
    // of a line whose beginning has not been read yet
    let rest = Buffer.alloc(0);
    while (at > 0) {
      const length = Math.min(CHUNK_BYTES, at);
      at -= length;
      const { buffer } = await handle.read(Buffer.alloc(length), 0, length, at);
      const known = Buffer.concat([buffer, rest]);
      const newline = known.indexOf(NEWLINE);
      if (at > 0 && newline === -1) {
        rest = known;
        continue;
      }
      // what stands before the newline belongs to the chunk before
      const lines = at === 0 ? known : known.subarray(newline + 1);
      yield* lines.toString('latin1').split('\n').reverse();
      rest = known.subarray(0, newline);
    }
  } finally {
    await handle.close();
  }
}
