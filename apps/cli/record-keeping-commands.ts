import type { Command } from 'commander';
import { TOPICS } from '#contracts';
import type { Erasure, ErasureOf } from '#record';
import { CommandFailure, fail } from './command-failure.js';
import { withKeeping, withProjections } from './open-record.js';
import { printJson } from './printing.js';
import { announceAccess } from './record-access.js';
import { timeOf } from './times.js';

interface EraseOptions {
  readonly intent?: string;
  readonly agent?: string;
  readonly person?: string;
  readonly reason: string;
  readonly json?: boolean;
}

/** `remit audit erase`, `drop`, `rebuild` and `check-roles`. */
export function addRecordKeepingCommands(audit: Command): void {
  audit
    .command('erase')
    .summary('Make content unreadable for ever.')
    .description(
      'Destroy the keys of an intent, an agent or a person acted for: what was sealed with them can never be read ' +
        'again, by anybody; the record still verifies. Cannot be undone. Says when the broker’s own copies end, and ' +
        'what survives.',
    )
    .addHelpText('after', '\nExample:\n  remit audit erase --person maria@shop.example --reason "request 4711"')
    .option('--intent <id>', 'this intent')
    .option('--agent <id>', 'everything of this agent')
    .option('--person <name>', 'every intent on behalf of this person')
    .requiredOption('--reason <text>', 'why; it stays on record; must be given')
    .option('--json', 'the result as one JSON object')
    .action(erase);

  audit
    .command('drop')
    .description('Drop whole months whose time has come. Their checkpoints stay, and one more says what was dropped.')
    .requiredOption('--before <month>', 'everything before this month, such as 2026-01; must be given')
    .requiredOption('--reason <text>', 'why; it stays on record; must be given')
    .action(drop);

  audit
    .command('rebuild')
    .description('Build everything that is derived from the record anew, and prove it identical to what is there.')
    .option('--replace', 'put the agents’ days as built anew in place')
    .option('--json', 'the result as one JSON object')
    .action(rebuild);

  audit
    .command('check-roles')
    .description('Check that the database roles may do what they must and nothing else, and that the guards stand.')
    .action(async () => {
      const findings = await withKeeping((keeping) => keeping.checkRoles());
      for (const { ok, what } of findings) process.stdout.write(`${ok ? 'ok     ' : 'WRONG  '}${what}\n`);
      if (findings.some(({ ok }) => !ok)) throw new CommandFailure();
    });
}

function subjectOf({ intent, agent, person }: EraseOptions): ErasureOf {
  const given: ErasureOf[] = [
    ...(intent === undefined ? [] : [{ of: 'intent', intentId: intent } as const]),
    ...(agent === undefined ? [] : [{ of: 'agent', agentId: agent } as const]),
    ...(person === undefined ? [] : [{ of: 'person', person } as const]),
  ];
  const [only] = given;
  if (only === undefined || given.length > 1) fail('REMIT_CLI_OPTIONS: give one of --intent, --agent, --person');
  return only;
}

/** Why, for the record: a blank says nothing, and this can be asked only once. */
function reasonIn({ reason }: { readonly reason: string }): string {
  return reason.trim() === '' ? fail('REMIT_CLI_OPTIONS: --reason must say why') : reason;
}

async function erase(options: EraseOptions): Promise<void> {
  const subject = subjectOf(options);
  const reason = reasonIn(options);
  const now = Date.now();
  const done = await withKeeping((keeping) =>
    keeping.erase(subject, async ({ of, subject: named, keys }) => {
      if (keys === 0) return;
      await announceAccess({ event: 'RecordErased', reason, of, subject: named, keys }, now);
    }),
  );
  if (options.json === true) printJson({ ...done, brokersCopiesEnd: brokersCopiesEnd(now) });
  else process.stdout.write(erasureText(done, now));
  if (done.keys === 0) throw new CommandFailure();
}

/** When the broker itself has dropped what it holds of today, by topic; `null`: never, by itself. */
function brokersCopiesEnd(now: number): Record<string, string | null> {
  const { agentActions, agentOutcomes, boundaryChecked, permissionChecked, scopeVerified } = TOPICS;
  const { permissionRequests, permissionCommands, permissionEvents, permissionState, deadLetters, agentDecisions } =
    TOPICS;
  const holders = [
    ...[agentActions, agentOutcomes, boundaryChecked, permissionChecked, scopeVerified, agentDecisions],
    ...[permissionRequests, permissionCommands, permissionEvents, permissionState, deadLetters],
  ];
  return Object.fromEntries(
    holders.map(({ name, retentionMs }) => [
      name,
      retentionMs === null ? null : new Date(now + retentionMs).toISOString().slice(0, 10),
    ]),
  );
}

function erasureText({ of, keys, values }: Erasure, now: number): string {
  if (keys === 0)
    return `There is no key of this ${of}: nothing of it is sealed in the record, or it was erased before.\n`;
  const copies = Object.entries(brokersCopiesEnd(now)).map(
    ([topic, until]) =>
      `  ${topic.padEnd(30)}${until === null ? 'never by itself: it must be read by every start' : `by ${until}`}`,
  );
  return `${String(keys)} ${keys === 1 ? 'key is' : 'keys are'} destroyed: ${String(values)} stored ${
    values === 1 ? 'value' : 'values'
  } can never be read again. The record still verifies.

The broker’s own copies end, unless retention was set otherwise:
${copies.join('\n')}

What survives, in the clear:
  search columns    agent, intent, chain and trace id, action type, target, outcome of every event
  decisions         these, the digest of the action, on whose behalf, type and id of the trigger, the rules that found something
  digests           SHA-256 of the action, and the hashes that prove the sealed bytes
Running processes forget the keys within a minute. Backups and write-ahead logs of PostgreSQL that are older than this
still hold the wrapped keys: let them end too.
`;
}

async function drop(options: { before: string; reason: string }): Promise<void> {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(options.before)) fail('REMIT_CLI_OPTIONS: --before is a month such as 2026-01');
  const reason = reasonIn(options);
  const now = Date.now();
  if (timeOf(`${options.before}-01`, now) > now) fail('REMIT_CLI_OPTIONS: --before must not lie ahead');
  const done = await withKeeping((keeping) =>
    keeping.dropBefore(options.before, now, async ({ months, checkpoint }) => {
      await announceAccess({ event: 'RecordDropped', reason, months: [...months], epoch: checkpoint.body.epoch }, now);
    }),
  );
  const months = done.months.length === 0 ? 'no month' : done.months.join(', ');
  process.stdout.write(
    `Dropped ${months}: ${String(done.entries)} entries. Checkpoint ${String(done.checkpoint.body.epoch)} says so; ` +
      'all checkpoints stay.\n',
  );
}

async function rebuild(options: { replace?: boolean; json?: boolean }): Promise<void> {
  const report = await withProjections(
    { how: 'rebuild', selection: { replace: options.replace } },
    async (projections) => {
      await projections.advance();
      if (options.replace === true) await projections.replaceAgentDays();
      return projections.rebuild();
    },
  );
  const parts = [
    ['agents’ days', report.agentDays.days, report.agentDays.differences],
    ['chain heads', report.chainHeads.heads, report.chainHeads.differences],
    ['search columns of entries', report.searchColumns.entries, report.searchColumns.differences],
  ] as const;
  if (options.json === true) {
    printJson(report);
  } else {
    for (const [what, number, differences] of parts) {
      const result = differences.length === 0 ? 'identical' : `DIFFERENT: ${differences.join(', ')}`;
      process.stdout.write(`${String(number)} ${what}: ${result}\n`);
    }
    const { erased } = report.searchColumns;
    if (erased > 0) process.stdout.write(`${String(erased)} erased entries could not be read, so not compared.\n`);
  }
  if (parts.some(([, , differences]) => differences.length > 0)) throw new CommandFailure();
}
