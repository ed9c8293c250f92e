import { destinationsOf } from '../intent/intent.js';
import type { ActionAuthority, AuthorityUsed } from './chain-authority.js';
import type { ChainCause } from './chain-cause.js';
import type { ChainAction, ChainDecision, ChainReport, ChainTree } from './chain.js';
import type { OrderBehind } from './orders-behind.js';

/** Deeper branches are drawn at this depth, with their true depth beside them. */
const DEEPEST_DRAWN = 32;
/** U+2800, a braille pattern without dots, shows nothing and is neither a blank nor ignorable. */
const UNSAFE = /[\\\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/**
 * Text from outside, safe to print: control, format and invisible characters, and blanks other than a space, appear as `\u{…}`, a backslash doubled,
 * so that it can neither steer a terminal nor look like something it is not.
 */
export function inertText(text: string): string {
  return text.replace(UNSAFE, (character) =>
    character === '\\' ? '\\\\' : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

const CLAIM_FAULTS: Record<Extract<ChainCause, { standing: 'claimed' }>['why'], string> = {
  'not-in-record': 'the record does not hold it',
  'other-chain': 'it belongs to another chain',
  later: 'it does not come before this action',
  denied: 'it was denied',
  undecided: 'it was not allowed',
};

function causeLine(cause: ChainCause): string {
  return `caused by ${inertText(cause.agentId)} ${cause.intentId} (${standingText(cause)})`;
}

function standingText(cause: ChainCause): string {
  if (cause.standing === 'claimed') return `CLAIMED: ${CLAIM_FAULTS[cause.why]}`;
  return cause.standing === 'proven' ? 'proven' : 'content erased: whether it was allowed by then cannot be told';
}

function judgedCauseText({ cause }: ChainDecision): string {
  if (cause === null) return '';
  return cause.standing === 'claimed'
    ? ', on a cause that is claimed'
    : `, on a cause proven from ${inertText(cause.from ?? '')}`;
}

function decisionLines(decision: ChainDecision): string[] {
  const took = decision.msAfterIntent === null ? '' : ` after ${decision.msAfterIntent} ms`;
  const round = decision.round === 1 ? '' : `, round ${decision.round}`;
  const standing = decision.void ? ', VOID: too late' : decision.effective ? '' : ', not the one that counts';
  const wouldBe = decision.wouldBe === decision.outcome ? '' : `, would be ${decision.wouldBe} if all were enforced`;
  const stage = decision.stage === 'observe' ? ', stage observe' : '';
  return [
    `decided ${decision.outcome}${took}${round}${stage}${judgedCauseText(decision)}${wouldBe}${standing}`,
    ...decision.findings.map((finding) => {
      const force = finding.enforced ? 'enforced' : `not enforced: ${finding.notEnforced ?? 'shadow'}`;
      return `  ${finding.layer} / ${inertText(finding.rule)}: ${inertText(finding.reason)} (${finding.effect}, ${force})`;
    }),
    ...decision.orders.map((behind) => `  ${orderText(behind)}`),
  ];
}

function lackText(erased: boolean): string {
  return erased ? 'was erased, or never recorded' : 'the record does not hold';
}

function orderText({ what, order, erased }: OrderBehind): string {
  if (order === null) return `${what} by an order that ${lackText(erased)}`;
  return `${what} by ${inertText(order.by)} at ${order.at}: ${inertText(order.reason)}`;
}

function permissionLine(used: AuthorityUsed): string {
  const permission = inertText(used.permission);
  if (used.by === 'charter') return `standing permission ${permission}, by the charter`;
  const grantId = inertText(used.grantId);
  if (used.grant === null) return `grant ${grantId} of ${permission}, which ${lackText(used.erased)}`;
  const { grantedBy, approvedBy, reason, expiresAt, breakGlass } = used.grant;
  const past = breakGlass ? ', PAST THE APPROVALS' : '';
  const people = approvedBy.length === 0 ? inertText(grantedBy) : approvedBy.map(inertText).join(', ');
  return `grant ${grantId} of ${permission}, approved by ${people}${past}, until ${expiresAt}: ${inertText(reason)}`;
}

function authorityLines({ scope, permissions }: ActionAuthority): string[] {
  const lines = permissions.map(permissionLine);
  if (scope === null) return lines;
  const owner = scope.owner === null ? '' : `, owner ${inertText(scope.owner)}`;
  const [actions, systems] = [scope.actions, scope.systems].map((names) => names.map(inertText).join(', '));
  return [`scope: ${actions ?? ''} on ${systems ?? ''}${owner}`, ...lines];
}

const ERASED = 'content erased: this is what its decision says of it';
const ERASED_UNDECIDED = 'content erased: nobody can tell its cause, trigger and person, and no decision is about it';

function linesOf(action: ChainAction): string[] {
  const { agentId, intentId, cause, trigger, onBehalfOf, upstream } = action;
  const going = destinationsOf(action.action).map(inertText).join(', ');
  const destination = going === '' ? '' : ` to ${going}`;
  const what = `${inertText(action.action.type)} on ${inertText(action.action.target)}${destination}`;
  const lines = [`${inertText(agentId)}: ${what}: ${action.outcome.toUpperCase()}`, `intent ${intentId}`];
  if (action.erased) lines.push(action.decisions.length > 0 ? ERASED : ERASED_UNDECIDED);
  if (action.idReused === true) lines.push('THE ID IS USED WITH OTHER CONTENT TOO');
  if (action.idReused === null)
    lines.push('the id is used more than once; content erased: nobody can tell whether with other content');
  if (action.appendTime === null && !action.erased) lines.push('the record does not hold the intent itself');
  if (onBehalfOf !== null) lines.push(`on behalf of ${inertText(onBehalfOf)}`);
  if (trigger !== null) {
    const id = trigger.id ? ` ${inertText(trigger.id)}` : '';
    const description = trigger.description ? ` "${inertText(trigger.description)}"` : '';
    lines.push(`triggered by ${inertText(trigger.type)}${id}${description}`);
  }
  if (cause !== null) {
    lines.push(`${causeLine(cause)}${action.msAfterCause === null ? '' : `, ${action.msAfterCause} ms before`}`);
  }
  if (upstream.agents.length > 0) {
    const doubt = upstream.proven ? '' : ' (not every cause is proven)';
    lines.push(`upstream: ${upstream.agents.map(inertText).join(' → ')}${doubt}`);
    for (const { agentId, ...authority } of upstream.authorities) {
      lines.push(...authorityLines(authority).map((line) => `  ${inertText(agentId)}: ${line}`));
    }
  }
  lines.push(...authorityLines(action.authority));
  lines.push(...action.decisions.flatMap(decisionLines));
  lines.push(...action.reports.map(reportLine));
  return lines;
}

function reportLine({ status, erased, msAfterDecision, asDecided, detail }: ChainReport): string {
  const after = msAfterDecision === null ? '' : ` after ${msAfterDecision} ms`;
  if (erased) return `reported ${status}${after} (content erased)`;
  const took = msAfterDecision === null ? ' without a decision' : after;
  const differs = asDecided === false ? ', NOT WHAT WAS DECIDED' : '';
  return `reported ${status}${took}${differs}${detail === null ? '' : `: ${inertText(detail)}`}`;
}

/** For each action, whether it is the last of its siblings. */
function lastOfSiblings(actions: readonly ChainAction[]): boolean[] {
  const last = new Array<boolean>(actions.length);
  let open: boolean[] = [];
  for (let i = actions.length - 1; i >= 0; i -= 1) {
    const depth = actions[i]?.depth ?? 0;
    last[i] = open[depth] !== true;
    open = open.slice(0, depth);
    open[depth] = true;
  }
  return last;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** The chain as text for people, one action under its cause. Contains no character that a terminal obeys but `\n`. */
export function renderChain(tree: ChainTree): string {
  const agents = new Set(tree.actions.map((action) => action.agentId));
  const counts = `${counted(tree.actions.length, 'action')}, ${counted(agents.size, 'agent')}`;
  const lines = [`chain ${inertText(tree.chainId)}: ${counts}`];
  const last = lastOfSiblings(tree.actions);
  const rails: string[] = [];
  tree.actions.forEach((action, i) => {
    const depth = Math.min(action.depth, DEEPEST_DRAWN);
    rails.length = depth;
    const above = rails.join('');
    const isLast = last[i] === true;
    rails[depth] = isLast ? '   ' : '│  ';
    const hasFollowers = (tree.actions[i + 1]?.depth ?? 0) > action.depth;
    const below = above + (rails[depth] ?? '') + (hasFollowers ? '│  ' : '   ');
    const [title = '', ...details] = linesOf(action);
    const trueDepth = action.depth > DEEPEST_DRAWN ? `(depth ${action.depth}) ` : '';
    lines.push(`${above}${isLast ? '└─ ' : '├─ '}${trueDepth}${title}`, ...details.map((detail) => below + detail));
  });
  for (const report of tree.strayReports) {
    lines.push(
      `! ${inertText(report.agentId)} reported ${report.status} for intent ${report.intentId}, which this chain does not hold`,
    );
  }
  for (const { agentId, intentId, action, onBehalfOf } of tree.foreignReEvaluations) {
    const person = onBehalfOf === null ? '' : ` on behalf of ${inertText(onBehalfOf)}`;
    lines.push(
      `! NOT WHAT WAS HELD: ${inertText(action.type)} on ${inertText(action.target)}${person} was sent as the ` +
        `re-evaluation of intent ${intentId} of ${inertText(agentId)}; it is refused, as a dead letter`,
    );
  }
  return lines.join('\n');
}
