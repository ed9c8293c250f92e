import { spawn } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RemitAgent } from '#agent';
import { TOPICS } from '#contracts';
import { eventually, untilReady, type RunningApp } from '#testing';
import { startOwnPostgres, type OwnPostgres } from '../integration/own-postgres.js';
import { RestoredWorld, type Ran } from './restored-world.js';

const ROOT = join(import.meta.dirname, '../..');

/** The commands of the page, by the name in the first line of each block. */
async function documented(): Promise<ReadonlyMap<string, string>> {
  const page = await readFile(join(ROOT, 'docs/guide/operations.md'), 'utf8');
  return new Map(
    [...page.matchAll(/^ *```sh run=(\S+)\n([^`]*?)^ *```$/gm)].map(([, name = '', text = '']) => [name, text]),
  );
}

describe('the restore procedure of docs/guide/operations.md, command by command', () => {
  let steps: ReadonlyMap<string, string>;
  let postgres: OwnPostgres;
  let world: RestoredWorld;
  let clerk: RemitAgent;
  let grantId: string;

  /** Runs one block of the page in a shell, with `remit` on the path. */
  async function run(step: string, values: Record<string, string> = {}): Promise<Ran> {
    const text = steps.get(step);
    if (text === undefined) throw new Error(`the page has no block run=${step}`);
    const child = spawn('/bin/sh', ['-ec', text], {
      cwd: world.folder,
      env: {
        ...world.environment('gwen'),
        PATH: `${world.folder}:/usr/local/bin:/usr/bin:/bin`,
        PGDATA: postgres.data,
        BACKUP: `${postgres.data}.backup`,
        ...values,
      },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, out: Buffer.concat(out).toString('utf8'), err: Buffer.concat(err).toString('utf8') };
  }

  const did = async (step: string, values?: Record<string, string>): Promise<string> => {
    const { code, out, err } = await run(step, values);
    if (code !== 0) throw new Error(`${step} ended with ${String(code)}: ${err}${out}`);
    return out;
  };

  const stored = async (): Promise<number> => {
    const [row] = await postgres.query('SELECT count(*)::int AS count FROM record.history WHERE topic = $1', [
      TOPICS.agentDecisions.name,
    ]);
    return Number(row?.['count']);
  };

  const epochs = async (): Promise<number> =>
    Number(
      (await postgres.query('SELECT coalesce(max(epoch), 0)::int AS epoch FROM record.published_checkpoint'))[0]?.[
        'epoch'
      ],
    );

  beforeAll(async () => {
    steps = await documented();
    postgres = await startOwnPostgres();
    world = await RestoredWorld.open(() => Promise.resolve(postgres));
    const remit = join(world.folder, 'remit');
    await writeFile(remit, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'dist/apps/cli/main.js')}" "$@"\n`);
    await chmod(remit, 0o700);
    await world.begin();
    clerk = await world.agent();
    await clerk.propose({ type: 'view', target: 'accounts' });
    await eventually(async () => (await stored()) === 1 && (await epochs()) > 0);
    await world.stop();
    await postgres.stop();
    await did('back-up');
    await postgres.start();
    const before = await epochs();
    await world.start();
    grantId = await world.grant('given after the backup');
    expect((await clerk.propose({ type: 'unlock', target: 'accounts' })).outcome).toBe('allow');
    await eventually(async () => (await stored()) === 2 && (await epochs()) > before);
    await world.stop();
    await postgres.stop();
  });

  afterAll(async () => {
    await clerk.close();
    await world.close();
  });

  it('loses nothing: the restored audit log verifies, and the grant given after the backup can be revoked', async () => {
    await did('restore');
    await postgres.start();
    await world.start('answers');
    await eventually(async () => (await stored()) === 2);
    await eventually(async () => (await did('look')).includes('checkpoints'));
    const [, id = ''] = /^\W*([0-9a-f]{16})/m.exec(await did('look')) ?? [];
    expect(await did('acknowledge', { ID: id })).toContain('acknowledged by gwen');
    await untilReady([world.app as RunningApp]);

    await world.did('sam', 'permissions', 'revoke', 'clerk', grantId, '--reason', 'over');
    expect((await clerk.propose({ type: 'unlock', target: 'accounts' })).outcome).toBe('deny');

    await eventually(async () => (await did('verify')).includes('restored'));
    expect(await did('verify')).toContain("acknowledged by gwen: restored from last night's backup, ticket 4711");
  });
});
