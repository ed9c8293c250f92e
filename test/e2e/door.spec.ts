import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RemitAgent } from '#agent';
import { eventually, requireDatabaseUrl, requireKafka, startApp, untilReady, type RunningApp } from '#testing';
import { CHARTER_TEXT } from '../integration/door-world.js';

const ROOT = join(import.meta.dirname, '../..');
const CLI = join(ROOT, 'dist/apps/cli/main.js');

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

describe('people, by the command line, through the door of a running system', () => {
  const backends = { brokers: requireKafka(), databaseUrl: requireDatabaseUrl() };
  let folder: string;
  let app: RunningApp;
  let clerk: RemitAgent;

  /** As one person, whose login is in a file of their own. */
  function remit(person: string, ...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const tool = spawn(process.execPath, [CLI, ...args], {
        cwd: ROOT,
        env: {
          REMIT_DOOR_URL: `http://127.0.0.1:${String(app.port)}`,
          REMIT_STATE_DIR: folder,
          REMIT_CREDENTIALS: join(folder, `${person}.json`),
          HOME: folder,
        },
      });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      tool.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      tool.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      tool.once('close', (code) =>
        resolve({ code, out: Buffer.concat(out).toString('utf8'), err: Buffer.concat(err).toString('utf8') }),
      );
    });
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'remit-people-'));
    app = await startApp('standalone', backends, { REMIT_STATE_DIR: folder });
    await eventually(async () => {
      if (app.process.exitCode !== null) throw new Error(app.output());
      return (await app.readyStatus()) !== 0;
    });
    const charter = join(folder, 'charter.yaml');
    await writeFile(
      charter,
      CHARTER_TEXT.replace(
        'permissions:\n  view',
        'policies:\n  - id: change\n    severity: critical\n    scope: { actions: [delete] }\n    violated_when: "true"\n    effect: hold\n    unless_granted: production_change\n    reason: needs two people\npermissions:\n  view',
      ).replace('admin_access: {', 'admin_access: { required_for: { actions: [unlock] },'),
    );
    await remit('gwen', 'login', '--as', 'gwen', '--role', 'governance');
    await remit('sam', 'login', '--as', 'sam', '--role', 'security');
    await remit('olga', 'login', '--as', 'olga', '--role', 'operations');
    await remit('otto', 'login', '--as', 'otto', '--role', 'operations');
    const activated = await remit('gwen', 'charter', 'activate', charter);
    if (activated.code !== 0) throw new Error(activated.err);
    await untilReady([app]);
    clerk = await RemitAgent.connect({ agentId: 'clerk', brokers: backends.brokers, timeoutMs: 120_000 });
  });

  afterAll(async () => {
    await clerk.close();
    await app.stop();
    await rm(folder, { recursive: true });
  });

  const unlock = async (): Promise<string> => (await clerk.propose({ type: 'unlock', target: 'accounts' })).outcome;

  it('a login is kept where only its owner can read it', async () => {
    expect((await stat(join(folder, 'sam.json'))).mode & 0o777).toBe(0o600);
  });

  it('a grant allows the very next intent, and its revocation denies the one after', async () => {
    expect(await unlock()).toBe('deny');
    const granted = await remit(
      'sam',
      'permissions',
      'grant',
      'clerk',
      'admin_access',
      '--for',
      '10m',
      '--reason',
      'ticket 1',
      '--json',
    );
    expect([granted.code, granted.err]).toEqual([0, '']);
    expect(await unlock()).toBe('allow');
    const list = await remit('sam', 'permissions', 'list', 'clerk');
    expect(list.out).toMatch(/admin_access.*[5-9]m( \d+s)?.*ticket 1/);
    const { events } = JSON.parse(granted.out) as { events: [{ grantId: string }] };
    const revoked = await remit('sam', 'permissions', 'revoke', 'clerk', events[0].grantId, '--reason', 'over');
    expect(revoked.code).toBe(0);
    expect(await unlock()).toBe('deny');
  });

  it('the kill switch denies every intent appended after its answer, until an administrator lets go on', async () => {
    const view = async (): Promise<string> => (await clerk.propose({ type: 'view', target: 'accounts' })).outcome;
    expect(await view()).toBe('allow');
    expect((await remit('sam', 'agent', 'suspend', '--all', '--reason', 'incident 42')).code).toBe(0);
    expect(await view()).toBe('deny');
    for (const agent of ['clerk', 'cleaner']) {
      expect((await remit('gwen', 'agent', 'reinstate', agent, '--reason', 'over')).code).toBe(0);
    }
    expect(await view()).toBe('allow');
  });

  it('a held action is shown as it would be executed, and two people approve exactly that', async () => {
    const cleaner = await RemitAgent.connect({ agentId: 'cleaner', brokers: backends.brokers });
    try {
      const parameters = { account: 'ACC-1', note: 'fine\u001b[2J' };
      const answer = cleaner.propose({ type: 'delete', target: 'accounts', parameters }, { timeoutMs: 240_000 });
      let listed = '';
      await eventually(async () => {
        listed = (await remit('olga', 'approvals', 'list', '--agent', 'cleaner', '--json')).out;
        return listed.includes('hold:');
      });
      const { requests } = JSON.parse(listed) as { requests: [{ requestId: string; held: { actionDigest: string } }] };
      const [{ requestId, held }] = requests;
      const shown = await remit('olga', 'approvals', 'show', requestId);
      expect(shown.out).toContain('parameters.note = "fine\\u{1b}[2J"');
      expect(shown.out).not.toContain('\u001b');
      const first = await remit(
        'olga',
        'approvals',
        'approve',
        requestId,
        '--digest',
        held.actionDigest,
        '--reason',
        'seen',
      );
      expect(first.out).toContain('1 more of operations');
      const again = await remit(
        'olga',
        'approvals',
        'approve',
        requestId,
        '--digest',
        held.actionDigest,
        '--reason',
        'seen',
      );
      expect([again.code, again.err]).toEqual([1, expect.stringContaining('REMIT_PERMISSION_ALREADY_APPROVED')]);
      await remit('otto', 'approvals', 'approve', requestId, '--digest', held.actionDigest, '--reason', 'seen too');
      expect((await answer).outcome).toBe('allow');
    } finally {
      await cleaner.close();
    }
  });

  it('what a person may not do is refused with a code, and exits with 1', async () => {
    const refused = await remit('olga', 'agent', 'reinstate', 'clerk', '--reason', 'x');
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('REMIT_DOOR_ROLE_MISSING')]);
  });

  it('the review prints what to tidy up', async () => {
    const review = await remit('sam', 'permissions', 'review');
    expect(review.out).toMatch(/cleaner.*no-owner/);
  });

  it('no token is in anything the system prints', async () => {
    const { token } = JSON.parse(await readFile(join(folder, 'sam.json'), 'utf8')) as { token: string };
    expect(app.output()).toContain('the door');
    for (const part of token.split('.')) expect(app.output()).not.toContain(part);
  });
});
