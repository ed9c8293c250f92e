import type { Command } from 'commander';
import { loadConfig } from '#config';
import type { RequestDetail, RequestView } from '#contracts';
import { destinationsOf, inertText } from '#domain';
import { fail } from './command-failure.js';
import { openDoorClient, type DoorClient } from './door-client.js';
import { constraintText } from './constraint-options.js';
import { printAnswer, printMany } from './permission-commands.js';
import { printJson, span, tableOf, withoutRunsOfBlanks } from './printing.js';

const AGENT = ['--agent <agent>', 'whose request, where two agents have one of this id'] as const;
const REASON = ['--reason <text>', 'why, for the record; must be given'] as const;
const JSON_OPTION = ['--json', 'one JSON object'] as const;
const REQUEST = ['<request>', 'its id, as `remit approvals list` shows it'] as const;

/** What ends a request without granting anything. */
const ENDINGS = [
  { ending: 'reject', description: 'Reject a request: one rejection ends it, and the agent is told no.' },
  { ending: 'cancel', description: 'Take back a request of your own, before anybody has to decide it.' },
] as const;

interface Deciding {
  readonly agent?: string;
  readonly digest?: string;
  readonly reason: string;
  readonly json?: boolean;
}

/** `remit approvals …`: held actions and requests that wait for a person. */
export function addApprovalCommands(program: Command): void {
  const approvals = program
    .command('approvals')
    .description('Held actions and requests that wait for a person.')
    .addHelpText(
      'after',
      '\nThe usual way:\n  remit approvals list\n  remit approvals show hold:3f…                              prints the command that approves it\n' +
        '  remit approvals approve hold:3f… --digest 9c… --reason "seen, ticket 4711"',
    );

  approvals
    .command('list')
    .description('What is open, the most urgent first.')
    .option('--all', 'also what ended in the last 30 days')
    .option('--agent <agent>', 'only of this agent')
    .option(...JSON_OPTION)
    .action(async ({ all, agent, json }: { all?: boolean; agent?: string; json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      const answer = await door('requests', { query: { agent, status: all === true ? 'all' : 'open' } });
      if (json === true) printJson(answer);
      else process.stdout.write(listText(answer.requests));
    });

  approvals
    .command('show')
    .description('One request, with exactly what would be executed.')
    .argument(...REQUEST)
    .option(...AGENT)
    .option(...JSON_OPTION)
    .action(async (request: string, { agent, json }: { agent?: string; json?: boolean }) => {
      const door = await openDoorClient(loadConfig());
      const detail = await door('requestDetail', { params: { request }, query: { agent } });
      if (json === true) printJson(detail);
      else process.stdout.write(detailText(detail));
    });

  approvals
    .command('approve')
    .summary('Approve exactly what `show` shows.')
    .description(
      'Approve exactly what `show` shows. A held action is approved by its digest, so that nothing else can be executed ' +
        'in its place. Several alike requests at once, each with its digest. Nobody approves their own request.',
    )
    .argument('<request...>', 'REQUEST, or REQUEST=DIGEST for a held action')
    .option(...AGENT)
    .option('--digest <sha256>', 'of the action you have seen, for a single request')
    .requiredOption(...REASON)
    .option(...JSON_OPTION)
    .addHelpText(
      'after',
      '\nExamples:\n  remit approvals approve hold:3f… --digest 9c… --reason "seen, ticket 4711"\n' +
        '  remit approvals approve hold:3f…=9c… hold:7a…=1b… --reason "the nightly batch"',
    )
    .action(async (requests: string[], options: Deciding) => {
      const { agent, reason, json } = options;
      const door = await openDoorClient(loadConfig());
      const chosen = requests.map((text) => seen(text, options));
      const [one, ...others] = chosen;
      if (others.length > 0 || one === undefined) {
        if (options.digest !== undefined)
          fail('REMIT_CLI_OPTIONS: --digest is for one request; give each as REQUEST=DIGEST');
        printMany(await door('approveAlike', { body: { requests: chosen, reason } }), json);
        return;
      }
      const { request, actionDigest } = one;
      const answer = await door('approve', {
        params: { request },
        body: {
          reason,
          ...(agent === undefined ? {} : { agent }),
          ...(actionDigest === undefined ? {} : { actionDigest }),
        },
      });
      printAnswer(answer, json);
      if (json !== true) await printWhatIsLeft(door, request, agent);
    });

  for (const { ending, description } of ENDINGS) {
    approvals
      .command(ending)
      .description(description)
      .argument(...REQUEST)
      .option(...AGENT)
      .requiredOption(...REASON)
      .option(...JSON_OPTION)
      .action(async (request: string, { agent, reason, json }: Deciding) => {
        const door = await openDoorClient(loadConfig());
        const body = { reason, ...(agent === undefined ? {} : { agent }) };
        printAnswer(await door(ending, { params: { request }, body }), json);
      });
  }
}

function seen(text: string, { agent, digest }: Deciding): { request: string; agent?: string; actionDigest?: string } {
  const [request = '', actionDigest = digest] = text.split('=');
  return {
    request,
    ...(agent === undefined ? {} : { agent }),
    ...(actionDigest === undefined ? {} : { actionDigest }),
  };
}

async function printWhatIsLeft(door: DoorClient, request: string, agent: string | undefined): Promise<void> {
  const { requests } = await door('requests', { query: { agent, status: 'open' } });
  const view = requests.find(({ requestId }) => requestId === request);
  if (view !== undefined) process.stdout.write(`It still waits for ${inertText(openNeeds(view))}.\n`);
}

function openNeeds({ needs }: RequestView): string {
  return needs
    .filter(({ approvals, approvedBy }) => approvedBy.length < approvals.count)
    .map(({ approvals, approvedBy }) => `${String(approvals.count - approvedBy.length)} more of ${approvals.role}`)
    .join(', ');
}

function needText({ permission, approvals, approvedBy }: RequestView['needs'][number]): string {
  const by = approvedBy.length === 0 ? '' : ` (${approvedBy.join(', ')})`;
  return `${permission}: ${String(approvedBy.length)} of ${String(approvals.count)} ${approvals.role}${by}`;
}

function listText(requests: readonly RequestView[]): string {
  if (requests.length === 0) return 'Nothing waits for anybody.\n';
  return tableOf(
    ['request', 'agent', 'action', 'needs', 'remaining', 'alike'],
    requests.map((request) => [
      request.requestId,
      request.agentId,
      actionText(request),
      request.needs.map(needText).join('; '),
      request.status === 'open' ? span(request.remainingMs) : request.status,
      request.alike.slice(0, 8),
    ]),
  );
}

function actionText({ held, constraints }: RequestView): string {
  if (held === undefined) return constraintText(constraints);
  const { type, target } = held.action;
  const destinations = destinationsOf(held.action);
  return `${type} on ${target}${destinations.length === 0 ? '' : ` to ${destinations.join(', ')}`}`;
}

function rejectedText({ rejectedBy, rejectedBecause = '' }: RequestDetail): string {
  return rejectedBy === undefined ? '' : ` by ${rejectedBy}: ${rejectedBecause}`;
}

/** One line on an earlier request for the same. */
function beforeText({
  requestId,
  requestedAt,
  status,
  by,
  why,
  grant,
  similar,
}: RequestDetail['askedBefore'][number]): string {
  const people = by.length === 0 ? '' : ` by ${by.join(', ')}`;
  const reason = why === undefined ? '' : `: ${why}`;
  return `before     ${similar === true ? 'similar, other parameters: ' : ''}${requestedAt} ${status}${people}${reason}${grant === undefined ? '' : `, ${grant}`} (${requestId})`;
}

/** What stands before the text of a line, `request    ` and the like. */
const LABEL = 11;

function lineText(line: string): string {
  return line.slice(0, LABEL) + withoutRunsOfBlanks(inertText(line.slice(LABEL)));
}

function detailText(detail: RequestDetail): string {
  const { action } = detail;
  const about = [
    `request    ${detail.requestId}, ${detail.status}${rejectedText(detail)}`,
    `agent      ${detail.agentId}${detail.onBehalfOf === undefined ? '' : `, on behalf of ${detail.onBehalfOf}`}`,
    `asked by   ${detail.requestedBy} at ${detail.requestedAt}: ${detail.reason}`,
    ...detail.needs.map(
      (need) => `needs      ${needText(need)}${need.rule === undefined ? '' : `, by rule ${need.rule}`}`,
    ),
    `grants     for ${span(detail.durationMs)}${detail.uses === null ? '' : `, ${String(detail.uses)} uses`}, bound to ${constraintText(detail.constraints)}`,
    `remaining  ${detail.status === 'open' ? `${span(detail.remainingMs)}, until ${detail.expiresAt}` : 'ended'}`,
    `charter    ${detail.charterDigest}`,
  ].map(lineText);
  about.push(...detail.askedBefore.map(beforeText).map(lineText));
  if (action === undefined) return `${about.join('\n')}\n`;
  if (action.status !== 'shown') {
    return `${[...about, `WHAT WOULD BE EXECUTED CANNOT BE SHOWN: ${inertText(action.because)}`].join('\n')}\n`;
  }
  const shown = ['', 'This would be executed, and nothing else:', '', ...action.lines.map((line) => `  ${line}`), ''];
  const approve = `remit approvals approve ${inertText(detail.requestId)} --digest ${action.digest} --reason …`;
  return `${[...about, ...shown, `To approve exactly this:\n  ${approve}`].join('\n')}\n`;
}
