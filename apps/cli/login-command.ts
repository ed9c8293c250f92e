import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { loadConfig, type Config } from '#config';
import { sha256 } from '#contracts';
import { checkCharter, durationMs, inertText, permissionTermsOf } from '#domain';
import { fail } from './command-failure.js';
import { answerIfAny } from './door-client.js';
import { claimsOf, forgetLogin, keepLogin, makeDevToken } from './login.js';

interface LoginOptions {
  readonly as?: string;
  readonly role?: string[];
  readonly for: string;
  readonly tokenFile?: string;
}

/** `remit login` and `remit logout`. */
export function addLoginCommands(program: Command): void {
  program
    .command('login')
    .summary('Say who you are, for the commands that follow.')
    .description(
      'Say who you are at the door, for the commands that follow. Kept in a file that only you can read. With an ' +
        'identity provider, give its token. Beside a running `npm start`, the dev key of this machine makes one.',
    )
    .option(
      '--token-file <file>',
      "the identity provider's token; - reads it from stdin, so that no shell remembers it",
    )
    .option('--as <name>', 'with the dev key: your name (your account on this machine)')
    .option('--role <role...>', 'with the dev key: your roles (those of administrators)')
    .option('--for <duration>', 'with the dev key: how long it lasts', '12h')
    .addHelpText(
      'after',
      '\nExamples:\n  remit login --as ann --role finance\n  pass show remit | remit login --token-file -',
    )
    .action(async (options: LoginOptions) => {
      const config = loadConfig();
      const token = options.tokenFile === undefined ? await devLogin(options) : await givenToken(options.tokenFile);
      const file = await keepLogin(config, token);
      const { sub, roles, exp } = claimsOf(token);
      const inRoles = roles === undefined ? '' : ` (${inertText(roles.join(', '))})`;
      process.stdout.write(
        `Logged in at ${config.doorUrl} as ${inertText(sub)}${inRoles}, until ${exp ?? 'its end'}. Kept in ${file}\n`,
      );
      if (roles !== undefined) await warnOfUnknownRoles(config, token, roles);
    });

  program
    .command('logout')
    .description('Forget who you are: removes the login that `remit login` keeps.')
    .action(async () => {
      await forgetLogin(loadConfig());
      process.stdout.write('Logged out.\n');
    });
}

/** Says so where no role of a login means anything: not to the charter in force, nor to the configuration. */
async function warnOfUnknownRoles(config: Config, token: string, roles: readonly string[]): Promise<void> {
  // with a role map, the token's own words mean nothing here
  if (config.door.roleMap !== undefined) return;
  const current = await answerIfAny(config, token, 'currentCharter');
  const checked = current === undefined ? undefined : checkCharter(current.text, sha256);
  if (current === undefined || checked?.ok !== true) return;
  const { permissions } = checked.charter.document;
  const approving = Object.values(permissions).flatMap(({ approvals }) => approvals?.role ?? []);
  const breakGlass = permissionTermsOf(checked.charter, '')?.breakGlass?.role;
  const named = new Set([...approving, ...(breakGlass === undefined ? [] : [breakGlass])]);
  const known = new Set([...named, ...config.door.adminRoles, ...config.door.auditorRoles]);
  const unknown = roles.filter((role) => !known.has(role));
  if (unknown.length === 0) return;
  process.stderr.write(
    `warning: charter ${current.name}, which is in force, names no role ${inertText(unknown.join(', '))}; it names ${
      [...named].join(', ') || 'none'
    }. Administrators have ${config.door.adminRoles.join(', ')}.\n`,
  );
}

function devLogin({ as: person, role: roles, for: lasting }: LoginOptions): Promise<string> {
  const lifetimeMs = durationMs(lasting);
  if (lifetimeMs === undefined)
    return fail(`REMIT_CLI_DURATION: ${inertText(lasting)} is no duration such as 15m or 12h`);
  return makeDevToken(loadConfig(), { person, roles, lifetimeMs });
}

async function givenToken(file: string): Promise<string> {
  const text = file === '-' ? await stdinText() : await readFile(file, 'utf8').catch(() => undefined);
  const token = text?.trim() ?? '';
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token;
  return fail(`REMIT_CLI_TOKEN: ${file === '-' ? 'stdin' : file} holds no JSON Web Token`);
}

async function stdinText(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8');
}
