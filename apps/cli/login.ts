import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Config } from '#config';
import { fail } from './command-failure.js';

const loginSchema = z.strictObject({ door: z.string(), token: z.string().min(1) });

const DEV_LIFETIME_MS = 12 * 60 * 60 * 1000;
/** Without a login, the commands of whoever can read the dev key take so long at most. */
const PASSING_LIFETIME_MS = 5 * 60 * 1000;

type Where = Pick<Config, 'credentialsFile' | 'stateFolder' | 'doorUrl' | 'door'>;

/** Where the login is kept: beside the dev key where there is one, else in the home folder. */
export function credentialsFile({ credentialsFile: given, stateFolder }: Where): string {
  if (given !== undefined) return given;
  return stateFolder === undefined
    ? join(homedir(), '.config', 'remit', 'login.json')
    : join(stateFolder, 'door-login.json');
}

/** Keeps a token where only its owner can read it. */
export async function keepLogin(config: Where, token: string): Promise<string> {
  const file = credentialsFile(config);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${String(process.pid)}`;
  await writeFile(draft, `${JSON.stringify({ door: config.doorUrl, token })}\n`, { mode: 0o600, flag: 'wx' });
  await rename(draft, file);
  return file;
}

export async function forgetLogin(config: Where): Promise<void> {
  await rm(credentialsFile(config), { force: true });
}

/** A token made with the dev key of this machine. */
export async function makeDevToken(
  { stateFolder, door }: Where,
  who: {
    readonly person?: string | undefined;
    readonly roles?: readonly string[] | undefined;
    readonly lifetimeMs?: number;
  },
): Promise<string> {
  if (stateFolder === undefined) {
    return fail(
      'REMIT_CLI_NO_DEV_KEY: REMIT_STATE_DIR names no folder with a dev key. Beside a running `npm start` it is known; ' +
        'with an identity provider, paste its token: remit login --token-file FILE',
    );
  }
  // loads what every process is made of: only whoever needs the dev key waits for that
  const { devToken, readDevKey } = await import('#service');
  const key = await readDevKey(stateFolder);
  return devToken(key, {
    person: who.person ?? userInfo().username,
    roles: who.roles ?? door.adminRoles,
    now: Date.now(),
    lifetimeMs: who.lifetimeMs ?? DEV_LIFETIME_MS,
  });
}

/** The login for this door: what `remit login` kept; else, where the dev key can be read, its owner as administrator. */
export async function tokenFor(config: Where): Promise<string> {
  const kept = await keptLogin(credentialsFile(config));
  if (kept !== undefined) {
    if (kept.door === config.doorUrl) return kept.token;
    if (config.stateFolder === undefined) {
      return fail(`REMIT_CLI_OTHER_DOOR: you are logged in at ${kept.door}, not at ${config.doorUrl}: remit login`);
    }
  }
  if (config.stateFolder === undefined) return fail('REMIT_CLI_NOT_LOGGED_IN: log in first: remit login');
  const token = await makeDevToken(config, { lifetimeMs: PASSING_LIFETIME_MS });
  process.stderr.write(
    `(as ${userInfo().username} with ${config.door.adminRoles.join(', ')}, by this machine's dev key; remit login --as NAME --role ROLE for others)\n`,
  );
  return token;
}

/** The token that `remit login` keeps for this door, if any. */
export async function loginKeptFor(config: Where): Promise<string | undefined> {
  const kept = await keptLogin(credentialsFile(config));
  return kept?.door === config.doorUrl ? kept.token : undefined;
}

/** What a token says of its bearer. Only the door can tell whether that is so. */
export function claimsOf(token: string): {
  sub: string;
  roles: readonly string[] | undefined;
  exp: string | undefined;
} {
  try {
    const text = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8');
    const { sub, roles, exp } = JSON.parse(text) as { sub?: unknown; roles?: unknown; exp?: unknown };
    return {
      sub: String(sub),
      roles: Array.isArray(roles) ? roles.map(String) : undefined,
      exp: typeof exp === 'number' ? new Date(exp * 1000).toISOString() : undefined,
    };
  } catch {
    return fail('REMIT_CLI_TOKEN: that is no JSON Web Token');
  }
}

async function keptLogin(file: string): Promise<z.infer<typeof loginSchema> | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return loginSchema.parse(JSON.parse(text));
  } catch {
    return fail(`REMIT_CLI_LOGIN_UNREADABLE: ${file} holds no login: remit login writes a new one`);
  }
}
