import { InvalidArgumentError, type Command } from 'commander';
import { loadConfig } from '#config';
import type { AgentAuthorityView, GrantView, ManyOrdersAnswer, OrderAnswer, ReviewReport } from '#contracts';
import { durationMs, inertText } from '#domain';
import { CommandFailure, fail } from './command-failure.js';
import {
  constraintsOf,
  constraintText,
  destination,
  destinationJson,
  parameter,
  parameterJson,
  type ConstraintOptions,
} from './constraint-options.js';
import { openDoorClient, problemText } from './door-client.js';
import { printJson, span, tableOf } from './printing.js';

interface GrantOptions extends ConstraintOptions {
  readonly for: number;
  readonly uses?: number;
  readonly reason: string;
  readonly breakGlass?: boolean;
  readonly request?: boolean;
  readonly json?: boolean;
}

const REASON = ['--reason <text>', 'why, for the record; must be given'] as const;
const JSON_OPTION = ['--json', 'one JSON object'] as const;
const AGENT = ['<agent>', 'its id, as in the charter'] as const;
const GRANT = 'id of the grant, as `remit permissions list` shows it';

/** `remit permissions …`: what is lent to agents. */
export function addPermissionCommands(program: Command): void {
  const permissions = program
    .command('permissions')
    .description('What is lent to agents: see it, lend it, take it back.');

  permissions
    .command('list')
    .description(
      'What an agent holds, by the charter and by grants, with time and uses left; or held at any moment of the past.',
    )
    .argument(...AGENT)
    .option('--at <time>', 'at that moment, such as 2026-01-31T09:00:00Z; else now')
    .option(...JSON_OPTION)
    .action(async (agent: string, { at, json }: { at?: string; json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      const view = await door('grants', { params: { agent }, query: { at } });
      if (json === true) printJson(view);
      else process.stdout.write(authorityText(view));
    });

  permissions
    .command('grant')
    .summary('Lend a permission for a time.')
    .description(
      'Lend a permission for a time. It ends by itself. Everything that is said about target, destination, parameters, ' +
        'chain and digest binds it: it counts for nothing else.',
    )
    .argument(...AGENT)
    .argument('<permission>', "one of the charter's")
    .requiredOption('--for <duration>', 'how long, such as 15m or 1h; must be given', wholeDuration)
    .requiredOption(...REASON)
    .option('--uses <number>', 'how often it may be used; else as often as needed', wholeNumber)
    .option('--target <glob>', 'only on this system')
    .option('--destination <text>', 'only to this destination, or one that a glob matches; repeatable', destination)
    .option(
      '--destination-json <json>',
      'the same with its kind, such as {"host":"*.partner.example"}; repeatable',
      destinationJson,
    )
    .option(
      '--parameter <path=value>',
      'only with this value of a parameter, such as payment.currency=EUR; a number counts as number and as text; ' +
        'repeatable, and values of one parameter add up',
      parameter,
    )
    .option(
      '--parameter-json <path=json>',
      'the same with its type or kind: file_id=11, file_id="11", amount={"max":500}, path={"pathPrefix":"/srv/reports"}, ' +
        'to={"address":"*@friend.example"}, to={"list":"trustedContacts"}; repeatable',
      parameterJson,
    )
    .option('--chain <id>', 'only within this chain')
    .option('--proven-from <agent>', 'only where its cause is proven, back to an intent of this other agent')
    .option('--digest <sha256>', 'only exactly this action')
    .option('--break-glass', 'past the approvals, where the charter lets you; a review stays open')
    .option('--request', 'ask for it instead: those whom the charter names approve')
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      '\nExamples:\n  remit permissions grant customer-service admin_access --for 15m --reason "ticket 4711"\n' +
        '  remit permissions grant cleaner production_change --for 1h --uses 5 --chain cleanup-7 --digest 9f… --reason "the same five times"',
    )
    .action(async (agent: string, permission: string, options: GrantOptions) => {
      const door = await openDoorClient(loadConfig());
      const { for: lasting, uses = null, reason, breakGlass, request, json } = options;
      const constraints = constraintsOf(options);
      const asked = { durationMs: lasting, uses, reason, ...(constraints === undefined ? {} : { constraints }) };
      if (breakGlass === true && request === true) fail('REMIT_CLI_OPTIONS: --break-glass or --request, not both');
      const answer =
        request === true
          ? await door('request', { params: { agent }, body: { permissions: [permission], ...asked } })
          : await door(breakGlass === true ? 'breakGlass' : 'grant', {
              params: { agent },
              body: { permission, ...asked },
            });
      printAnswer(answer, json);
    });

  permissions
    .command('revoke')
    .description('Take a grant back, or all of an agent’s: nothing it intends from now on is covered by it.')
    .argument(...AGENT)
    .argument('[grant]', `${GRANT}; or --all`)
    .option('--all', 'every grant of the agent')
    .requiredOption(...REASON)
    .option(...JSON_OPTION)
    .action(
      async (
        agent: string,
        grant: string | undefined,
        { all, reason, json }: { all?: boolean; reason: string; json?: boolean },
      ) => {
        if ((grant === undefined) !== (all === true)) fail('REMIT_CLI_OPTIONS: name one grant, or give --all');
        const door = await openDoorClient(loadConfig());
        const answer =
          grant === undefined
            ? await door('revokeAll', { params: { agent }, query: { reason } })
            : await door('revoke', { params: { agent, grant }, query: { reason } });
        printAnswer(answer, json);
      },
    );

  permissions
    .command('close-review')
    .description('Say that you have looked at a grant that somebody else gave past the approvals (--break-glass).')
    .argument(...AGENT)
    .argument('<grant>', GRANT)
    .requiredOption(...REASON)
    .option(...JSON_OPTION)
    .action(async (agent: string, grant: string, { reason, json }: { reason: string; json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      printAnswer(await door('closeReview', { params: { agent, grant }, body: { reason } }), json);
    });

  permissions
    .command('review')
    .summary('What to tidy up.')
    .description(
      'What to tidy up: standing permissions, unused grants, grants about to end, constant elevation, agents without ' +
        'an owner or a charter, grants past the approvals that nobody has looked at.',
    )
    .option(...JSON_OPTION)
    .action(async ({ json }: { json?: boolean }) => {
      const report = await (await openDoorClient(loadConfig()))('review');
      if (json === true) printJson(report);
      else process.stdout.write(reviewText(report));
    });
}

/** `remit agent …`: the kill switch. */
export function addAgentCommands(program: Command): void {
  const agents = program.command('agent').description('Stop agents, and let them go on.');

  agents
    .command('suspend')
    .description(
      'The kill switch: deny everything an agent intends from now on. With --all: every agent. What it was allowed ' +
        'before may still be executed until its decision runs out (validUntil).',
    )
    .summary('The kill switch: deny everything an agent intends from now on.')
    .addHelpText(
      'after',
      '\nExamples:\n  remit agent suspend customer-service --reason "incident 42"\n  remit agent suspend --all --reason "incident 42"',
    )
    .argument('[agent]', 'its id; or --all')
    .option('--all', 'every agent that the charter or the log knows')
    .requiredOption(...REASON)
    .option(...JSON_OPTION)
    .action(
      async (agent: string | undefined, { all, reason, json }: { all?: boolean; reason: string; json?: boolean }) => {
        if ((agent === undefined) !== (all === true)) fail('REMIT_CLI_OPTIONS: name one agent, or give --all');
        const door = await openDoorClient(loadConfig());
        if (agent === undefined) printMany(await door('suspendAll', { body: { reason } }), json);
        else printAnswer(await door('suspend', { params: { agent }, body: { reason } }), json);
      },
    );

  agents
    .command('reinstate')
    .description('Let a suspended agent go on: what it intends from now on is judged again. Administrators only.')
    .argument(...AGENT)
    .requiredOption(...REASON)
    .option(...JSON_OPTION)
    .action(async (agent: string, { reason, json }: { reason: string; json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      printAnswer(await door('reinstate', { params: { agent }, query: { reason } }), json);
    });
}

export function wholeDuration(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('It is a duration such as 15m or 1h.');
  return ms;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('It is a whole number from 1.');
  return Number(text);
}

function authorityText(view: AgentAuthorityView): string {
  const suspended = `SUSPENDED by ${inertText(view.suspendedBy ?? '')}: ${inertText(view.suspendedBecause ?? '')}`;
  const standing = view.standing.length === 0 ? 'none' : view.standing.map(inertText).join(', ');
  const lines = [
    `${inertText(view.agentId)} at ${view.at}: ${view.status === 'suspended' ? suspended : 'active'}`,
    `standing permissions: ${standing}`,
  ];
  if (view.grants.length === 0) return `${[...lines, 'no grant'].join('\n')}\n`;
  return `${lines.join('\n')}\n${grantTable(view.grants)}`;
}

function grantTable(grants: readonly GrantView[]): string {
  const head = ['grant', 'permission', 'remaining', 'uses left', 'bound to', 'granted by', 'reason'];
  return tableOf(
    head,
    grants.map((grant) => [
      grant.grantId,
      grant.permission,
      span(grant.remainingMs),
      grant.usesLeft === null ? 'not counted' : `${String(grant.usesLeft)} of ${String(grant.uses)}`,
      constraintText(grant.constraints),
      `${grant.approvedBy.join(', ')}${grant.review === 'open' ? ' (REVIEW OPEN)' : ''}`,
      grant.reason,
    ]),
  );
}

/** What came of an order, one line per event. */
export function printAnswer(answer: OrderAnswer, json: boolean | undefined): void {
  if (json === true) {
    printJson(answer);
    return;
  }
  for (const event of answer.events) process.stdout.write(`${inertText(sentenceOf(event))}\n`);
}

export function printMany(answer: ManyOrdersAnswer, json: boolean | undefined): void {
  if (json === true) printJson(answer);
  else {
    for (const one of answer.done) printAnswer(one, false);
    for (const { agentId, requestId, problem } of answer.failed) {
      process.stderr.write(`${inertText(requestId ?? agentId)}: ${problemText(problem)}\n`);
    }
    process.stdout.write(`${String(answer.done.length)} done, ${String(answer.failed.length)} failed\n`);
  }
  if (answer.failed.length > 0) throw new CommandFailure();
}

function sentenceOf(event: OrderAnswer['events'][number]): string {
  const { agentId, by } = event;
  switch (event.event) {
    case 'PermissionGranted': {
      const remaining = span(Date.parse(event.expiresAt) - Date.parse(event.at));
      const counted = event.uses === null ? '' : `, ${String(event.uses)} uses`;
      const review = event.breakGlass === true ? ' Past the approvals: a review is open.' : '';
      const bound = `Bound to: ${constraintText(event.constraints)}.`;
      return `${agentId} holds ${event.permission} for ${remaining} (until ${event.expiresAt}${counted}), grant ${event.grantId}. ${bound}${review}`;
    }
    case 'PermissionRequested':
      return `Request ${event.requestId} is open until ${event.expiresAt}: remit approvals show ${event.requestId}`;
    case 'PermissionApprovalEntered':
      return `${by} has approved request ${event.requestId}.`;
    case 'PermissionRejected':
      return `${by} has rejected request ${event.requestId}: ${event.reason}`;
    case 'PermissionRequestCancelled':
      return `Request ${event.requestId} is cancelled.`;
    case 'PermissionRevoked':
      return `Grant ${event.grantId} of ${agentId} is revoked for everything it intends from now on.`;
    case 'PermissionReviewClosed':
      return `The review of grant ${event.grantId} is closed.`;
    case 'AgentSuspended':
      return `${agentId} is suspended: everything it intends from now on is denied.`;
    case 'AgentReinstated':
      return `${agentId} may go on.`;
    default:
      return `${agentId}: ${event.event}`;
  }
}

function reviewText({ at, findings }: ReviewReport): string {
  if (findings.length === 0) return `Nothing to tidy up at ${at}.\n`;
  return tableOf(
    ['agent', 'what', 'permission', 'grant', 'why it is here'],
    findings.map(({ agentId, kind, permission = '', grantId = '', message }) => [
      agentId,
      kind,
      permission,
      grantId,
      message,
    ]),
  );
}
