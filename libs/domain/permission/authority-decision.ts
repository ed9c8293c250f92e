import { saysTheSame } from '../charter/charter-basis.js';
import {
  AGENT_ASK_PREFIX,
  asksTooOften,
  evolveAuthority,
  grantIdOfNeed,
  grantNamed,
  INITIAL_AUTHORITY,
  requestNamed,
  isExhaustedSince,
  reservationKey,
  usesLeft,
  type AgentAuthority,
  type ApprovalEntry,
  type Grant,
  type Need,
  type PermissionRequest,
} from './authority.js';
import {
  BASIS_CHANGED,
  type PermissionCommand,
  type PermissionTerms,
  type PlacedCommand,
} from './permission-commands.js';
import type { PermissionEvent, RefusalCode } from './permission-events.js';
import {
  ASK_INTERVAL_MS,
  MAX_ASKS_AT_ONCE,
  MAX_GRANTS,
  MAX_HOLDS,
  MAX_OPEN_FOR_ASKING,
  MAX_OPEN_OF_PERSON,
  MAX_OPEN_REQUESTS,
} from './permission-limits.js';
import { peopleForNeeds, placesFilled, unmetNeeds } from './people-for-needs.js';
import {
  namesNothing,
  openBindings,
  type Binding,
  problemOfConstraints,
  samePerson,
  type Constraints,
} from './permission-grants.js';

/** The longest a request may stay open: as long as the held intent can still be read. */
export const LONGEST_REQUEST_WAIT_MS = 7 * 24 * 60 * 60 * 1000;

type Stamped = 'agentId' | 'version' | 'commandId' | 'at' | 'by' | 'reason';
type Draft<Event> = Event extends PermissionEvent ? Omit<Event, Stamped> & { readonly reason?: string } : never;
/** An event before it has its place in the stream. Without a reason of its own it has the command's. */
type EventDraft = Draft<PermissionEvent>;

type CommandOf<Name extends PermissionCommand['command']> = Extract<PermissionCommand, { command: Name }>;
type Refusal = Extract<EventDraft, { event: 'PermissionRefused' }>;
type OpenRequest = Extract<PermissionRequest, { status: 'open' }>;
type ClosedRequest = Exclude<PermissionRequest, { status: 'open' }>;

/** What decisions about people and the charter look at. */
interface Circumstances {
  readonly state: AgentAuthority;
  readonly at: number;
  readonly terms: PermissionTerms | undefined;
}

/**
 * What comes of a command: one event per fact and per refusal, numbered on from the state. Pure and total: an order
 * that cannot be followed is a `PermissionRefused`, never an exception. No event at all: the order has been followed
 * before, a timer came early and may come again, or an agent asks more than it may ({@link refusalUnstored}).
 */
export function decideAuthority(placed: PlacedCommand, state: AgentAuthority): PermissionEvent[] {
  const { command, at, terms } = placed;
  if (refusalUnstored(placed, state) !== undefined) return [];
  const { agentId, commandId, by, reason } = command;
  const stamp = { agentId, commandId, at: isoTime(at), by };
  return draftsOf(command, { state, at, terms }).map((draft, index) => ({
    reason,
    ...draft,
    ...stamp,
    version: state.version + 1 + index,
  }));
}

/** Why what an agent asks for is refused and never put on record. */
export const ASK_REFUSAL_CODES = [
  'REMIT_PERMISSION_AGENT_UNKNOWN',
  'REMIT_PERMISSION_NO_CHARTER',
  'REMIT_PERMISSION_ASKED_TOO_OFTEN',
  'REMIT_PERMISSION_TOO_MANY_OPEN',
] as const;
export type AskRefusalCode = (typeof ASK_REFUSAL_CODES)[number];

/**
 * Why nothing comes of what an agent asks for itself, and nothing of it is kept: the agent is in no charter, or it asks
 * more than it may. `undefined`: it is decided on, and what comes of it is on record for ever.
 */
export function refusalUnstored(
  { command, at, terms }: PlacedCommand,
  state: AgentAuthority,
): readonly [code: AskRefusalCode, problem: string] | undefined {
  const { agentId, commandId } = command;
  if (!commandId.startsWith(AGENT_ASK_PREFIX)) return undefined;
  if (terms === undefined) return ['REMIT_PERMISSION_NO_CHARTER', 'no charter is in force: activate one'];
  if (!terms.agentKnown) return ['REMIT_PERMISSION_AGENT_UNKNOWN', `the charter knows no agent ${agentId}`];
  if (asksTooOften(state, at)) {
    const pace = `${MAX_ASKS_AT_ONCE} times at once, then once in ${ASK_INTERVAL_MS / 1000} s`;
    return ['REMIT_PERMISSION_ASKED_TOO_OFTEN', `${agentId} asks too often: an agent may ask ${pace}`];
  }
  if (command.command === 'RequestPermission' && state.alive.asked >= MAX_OPEN_FOR_ASKING) {
    const problem = `${agentId} has ${state.alive.asked} open requests of its own: until some have ended it may not ask for more`;
    return ['REMIT_PERMISSION_TOO_MANY_OPEN', problem];
  }
  return undefined;
}

/** The brain of the aggregate: one stream of events per agent. */
export const authorityDecider = {
  decide: decideAuthority,
  evolve: (state: AgentAuthority, event: PermissionEvent): AgentAuthority => evolveAuthority(state, event),
  initialState: (): AgentAuthority => INITIAL_AUTHORITY,
};

function draftsOf(command: PermissionCommand, circumstances: Circumstances): EventDraft[] {
  switch (command.command) {
    case 'RequestPermission':
      return request(command, circumstances);
    case 'CancelRequest':
      return cancel(command, circumstances);
    case 'ApproveRequest':
      return approve(command, circumstances);
    case 'RejectRequest':
      return reject(command, circumstances);
    case 'GrantPermission':
      return grant(command, circumstances);
    case 'BreakGlass':
      return breakGlass(command, circumstances);
    case 'CloseReview':
      return closeReview(command, circumstances);
    case 'RevokeGrant':
      return revoke(command, circumstances);
    case 'RevokeAllGrants':
      return revokeAll(command, circumstances);
    case 'SuspendAgent':
      return suspend(command, circumstances);
    case 'ReinstateAgent':
      return reinstate(command, circumstances);
    case 'ExpireGrant':
      return expireGrant(command, circumstances);
    case 'ExpireRequest':
      return expireRequest(command, circumstances);
    case 'SupersedeRequest':
      return supersede(command, circumstances);
    case 'ReserveUse':
      return reserve(command, circumstances);
    case 'ConfirmUse':
    case 'ReleaseUse':
      return settleUse(command, circumstances);
    default:
      return command satisfies never;
  }
}

function request(command: CommandOf<'RequestPermission'>, { state, at, terms }: Circumstances): EventDraft[] {
  const { needs: wanted, durationMs, waitMs, held, onBehalfOf } = command;
  const requestId = command.commandId;
  const refuse = (code: RefusalCode, problem: string): EventDraft[] => [refusal(command, code, problem, { requestId })];
  // A held action needs its request to come to an end. Nothing is lent by it: approvals are refused while suspended.
  const outside = problemOfLending(command.agentId, held === undefined ? state : INITIAL_AUTHORITY, terms);
  if (outside !== undefined) return refuse(...outside);
  if (terms === undefined) return refuse(...NO_CHARTER);
  if (requestNamed(state, requestId) !== undefined) return refuse('REMIT_PERMISSION_ID_TAKEN', `${requestId} is taken`);
  const tooMany = held === undefined ? problemOfOpen(state, command) : undefined;
  if (tooMany !== undefined) return refuse(...tooMany);
  if (waitMs < 1 || waitMs > LONGEST_REQUEST_WAIT_MS) {
    return refuse('REMIT_PERMISSION_WAIT', `a request stays open for 1 ms to 7 days, not ${waitMs} ms`);
  }
  const constraints: Constraints = {
    ...command.constraints,
    ...(held && { actionDigest: held.actionDigest, chainId: held.chainId }),
  };
  const uses = held === undefined ? command.uses : 1;
  const needs: Need[] = [];
  for (const { permission, rule } of wanted) {
    const wrong = problemOfTerms(
      { agentId: command.agentId, permission, durationMs, uses, constraints: command.constraints, bound: constraints },
      terms,
    );
    if (wrong !== undefined) return refuse(...wrong);
    const approvals = terms.permissions.get(permission)?.approvals;
    if (approvals === undefined) {
      const problem = `the charter names no approvers for ${permission}: give it \`approvals\` there`;
      return refuse('REMIT_PERMISSION_NOBODY_APPROVES', problem);
    }
    if (needs.some((need) => need.permission === permission)) {
      return refuse('REMIT_PERMISSION_NAMED_TWICE', `${permission} is asked for twice`);
    }
    needs.push({ permission, approvals, ...(rule === undefined ? {} : { rule }) });
  }
  const asked: EventDraft[] = [
    {
      event: 'PermissionRequested',
      requestId,
      needs,
      durationMs,
      uses,
      constraints,
      charterDigest: terms.charterDigest,
      basis: terms.basisOf({ needs, constraints, held }),
      expiresAt: isoTime(at + waitMs),
      ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      ...(held === undefined ? {} : { held }),
    },
  ];
  if (held === undefined || state.alive.holds < MAX_HOLDS) return asked;
  // it was held before it could be known that there are too many: its decision must come all the same
  const why = `${MAX_HOLDS} actions of the agent are held already, so nobody is asked about more`;
  return [...asked, { event: 'PermissionRequestCancelled', requestId, limit: MAX_HOLDS, reason: why }];
}

function approve(command: CommandOf<'ApproveRequest'>, circumstances: Circumstances): EventDraft[] {
  const { requestId, by, roles } = command;
  return withOpenRequest(command, circumstances, (open) => {
    const { state, terms } = circumstances;
    const refuse = (code: RefusalCode, problem: string): EventDraft[] => [
      refusal(command, code, problem, { requestId }),
    ];
    const outside = problemOfLending(command.agentId, state, terms);
    if (outside !== undefined) return refuse(...outside);
    if (open.held !== undefined && command.actionDigest === undefined) {
      const missing = `request ${requestId} holds an action, which is approved by its digest: \`--digest\` (\`actionDigest\`) is missing; \`remit approvals show ${requestId}\` prints it`;
      return refuse('REMIT_PERMISSION_OTHER_ACTION', missing);
    }
    if (open.held?.actionDigest !== command.actionDigest) {
      return refuse(
        'REMIT_PERMISSION_OTHER_ACTION',
        `the approval is for another action than request ${requestId} holds`,
      );
    }
    if (isOwnRequest(by, open, command.agentId)) return refuse(...selfApproval(by));
    if (open.entries.some((entry) => samePerson(entry.by, by))) {
      return refuse('REMIT_PERMISSION_ALREADY_APPROVED', `${by} has approved it already; one person counts once`);
    }
    const entries = [...open.entries, { by, roles, at: circumstances.at }];
    if (placesFilled(open.needs, entries) === placesFilled(open.needs, open.entries)) {
      const unmet = unmetNeeds(open.needs, open.entries);
      const wanted = [...new Set(unmet.map(({ approvals }) => approvals.role))].join(' or ');
      return refuse(
        'REMIT_PERMISSION_ROLE_MISSING',
        `request ${requestId} waits for the role ${wanted}, which ${by} lacks`,
      );
    }
    if (state.alive.grants + open.needs.length > MAX_GRANTS) return refuse(...tooManyGrants(command.agentId));
    const entered: EventDraft = { event: 'PermissionApprovalEntered', requestId, roles };
    if (unmetNeeds(open.needs, entries).length > 0) return [entered];
    return [entered, ...grantsOfRequest(open, entries, circumstances.at)];
  });
}

/** One grant per need, each approved by those who count for it. */
function grantsOfRequest(open: OpenRequest, entries: readonly ApprovalEntry[], at: number): EventDraft[] {
  const people = peopleForNeeds(open.needs, entries);
  return open.needs.map(({ permission }, index) => ({
    event: 'PermissionGranted',
    grantId: grantIdOfNeed(open.requestId, index),
    requestId: open.requestId,
    permission,
    constraints: open.constraints,
    uses: open.uses,
    expiresAt: isoTime(at + open.durationMs),
    approvedBy: (people[index] ?? []).map(({ by }) => by),
    charterDigest: open.charterDigest,
    reason: open.reason,
  }));
}

function reject(command: CommandOf<'RejectRequest'>, circumstances: Circumstances): EventDraft[] {
  const { requestId, by, roles } = command;
  return withOpenRequest(command, circumstances, (open) => {
    if (isOwnRequest(by, open, command.agentId)) return [refusal(command, ...selfApproval(by), { requestId })];
    if (!open.needs.some(({ approvals }) => roles.includes(approvals.role))) {
      const problem = `only someone who could approve request ${requestId} can reject it`;
      return [refusal(command, 'REMIT_PERMISSION_ROLE_MISSING', problem, { requestId })];
    }
    return [{ event: 'PermissionRejected', requestId }];
  });
}

function cancel(command: CommandOf<'CancelRequest'>, circumstances: Circumstances): EventDraft[] {
  const { requestId, by } = command;
  return withOpenRequest(command, circumstances, (open) => {
    if (isOwnRequest(by, open, command.agentId)) return [{ event: 'PermissionRequestCancelled', requestId }];
    const problem = `only ${open.requestedBy} can cancel request ${requestId}; an approver can reject it`;
    return [refusal(command, 'REMIT_PERMISSION_NOT_REQUESTER', problem, { requestId })];
  });
}

/**
 * Goes on with a request that is open in fact. One that has run out, or that rests on what has changed, ends here as
 * what it is: expired is not rejected, and neither is superseded.
 */
function withOpenRequest(
  command: CommandOf<'ApproveRequest' | 'RejectRequest' | 'CancelRequest'>,
  { state, at, terms }: Circumstances,
  goOn: (open: OpenRequest) => EventDraft[],
): EventDraft[] {
  const { requestId } = command;
  const found = requestNamed(state, requestId);
  if (found?.status !== 'open') return [refusalOfClosed(command, requestId, found)];
  if (at >= found.expiresAt) {
    const ended: EventDraft = { event: 'PermissionRequestExpired', requestId, reason: 'nobody decided it in time' };
    return [ended, refusalOfClosed(command, requestId, { ...found, status: 'expired', endedAt: found.expiresAt })];
  }
  if (terms !== undefined && !saysTheSame(found, terms)) {
    const ended = superseded(requestId, terms.charterDigest);
    return [ended, refusalOfClosed(command, requestId, { ...found, status: 'superseded', endedAt: at })];
  }
  return goOn(found);
}

function superseded(requestId: string, charterDigest: string): EventDraft {
  return { event: 'PermissionRequestSuperseded', requestId, charterDigest, reason: BASIS_CHANGED };
}

function grant(command: CommandOf<'GrantPermission'>, { state, at, terms }: Circumstances): EventDraft[] {
  const refuse = (code: RefusalCode, problem: string): EventDraft[] => [refusal(command, code, problem)];
  const outside = problemOfDirectGrant(command, state, terms);
  if (outside !== undefined) return refuse(...outside);
  if (terms === undefined) return refuse(...NO_CHARTER);
  const approvals = terms.permissions.get(command.permission)?.approvals;
  if (approvals !== undefined && !command.roles.includes(approvals.role)) {
    const problem = `${command.permission} is granted by the role ${approvals.role}, which ${command.by} lacks`;
    return refuse('REMIT_PERMISSION_ROLE_MISSING', problem);
  }
  if (approvals !== undefined && approvals.count > 1) {
    const problem = `${command.permission} needs ${approvals.count} people of the role ${approvals.role}: request it instead`;
    return refuse('REMIT_PERMISSION_APPROVALS_NEEDED', problem);
  }
  return [directGrant(command, at, terms)];
}

function breakGlass(command: CommandOf<'BreakGlass'>, { state, at, terms }: Circumstances): EventDraft[] {
  const refuse = (code: RefusalCode, problem: string): EventDraft[] => [refusal(command, code, problem)];
  const outside = problemOfDirectGrant(command, state, terms);
  if (outside !== undefined) return refuse(...outside);
  if (terms === undefined) return refuse(...NO_CHARTER);
  if (terms.breakGlass === undefined) {
    return refuse('REMIT_PERMISSION_NO_BREAK_GLASS', 'the charter lets nobody grant past the approvals');
  }
  const { role, maxDurationMs } = terms.breakGlass;
  if (!command.roles.includes(role)) {
    return refuse(
      'REMIT_PERMISSION_ROLE_MISSING',
      `granting past the approvals takes the role ${role}, which ${command.by} lacks`,
    );
  }
  if (command.durationMs > maxDurationMs) {
    return refuse('REMIT_PERMISSION_DURATION', `a grant past the approvals lasts at most ${maxDurationMs} ms`);
  }
  return [{ ...directGrant(command, at, terms), breakGlass: true }];
}

function directGrant(
  command: CommandOf<'GrantPermission' | 'BreakGlass'>,
  at: number,
  terms: PermissionTerms,
): Extract<EventDraft, { event: 'PermissionGranted' }> {
  return {
    event: 'PermissionGranted',
    grantId: command.commandId,
    permission: command.permission,
    constraints: command.constraints ?? {},
    uses: command.uses,
    expiresAt: isoTime(at + command.durationMs),
    approvedBy: [command.by],
    charterDigest: terms.charterDigest,
  };
}

function closeReview(command: CommandOf<'CloseReview'>, { state, terms }: Circumstances): EventDraft[] {
  const { grantId, by, roles } = command;
  const found = grantNamed(state, grantId);
  const refuse = (code: RefusalCode, problem: string): EventDraft[] => [refusal(command, code, problem, { grantId })];
  if (found === undefined) return refuse(...unknownGrant(grantId));
  if (found.review !== 'open') return refuse('REMIT_PERMISSION_NO_OPEN_REVIEW', `grant ${grantId} has no open review`);
  if (terms === undefined) return refuse(...NO_CHARTER);
  if (samePerson(by, command.agentId) || samePerson(by, found.grantedBy)) return refuse(...selfApproval(by));
  if (terms.breakGlass === undefined || !roles.includes(terms.breakGlass.role)) {
    const role = terms.breakGlass?.role ?? 'that the charter gives `break_glass`';
    return refuse('REMIT_PERMISSION_ROLE_MISSING', `closing the review takes the role ${role}, which ${by} lacks`);
  }
  return [{ event: 'PermissionReviewClosed', grantId }];
}

function revoke(command: CommandOf<'RevokeGrant'>, { state, at }: Circumstances): EventDraft[] {
  const { grantId } = command;
  const found = grantNamed(state, grantId);
  const ended = problemOfGrant(grantId, found, at);
  if (ended !== undefined) return [refusal(command, ...ended, { grantId })];
  return [{ event: 'PermissionRevoked', grantId }];
}

function revokeAll(command: CommandOf<'RevokeAllGrants'>, { state, at }: Circumstances): EventDraft[] {
  const valid = inOrder([...state.grants.values()]).filter(
    (found) => problemOfGrant(found.grantId, found, at) === undefined,
  );
  if (valid.length === 0) {
    return [refusal(command, 'REMIT_PERMISSION_NOTHING_TO_REVOKE', `${command.agentId} holds no grant`)];
  }
  return valid.map(({ grantId }) => ({ event: 'PermissionRevoked', grantId }));
}

function suspend(command: CommandOf<'SuspendAgent'>, { state }: Circumstances): EventDraft[] {
  if (state.status === 'active') return [{ event: 'AgentSuspended' }];
  return [refusal(command, ...suspended(command.agentId, state))];
}

function reinstate(command: CommandOf<'ReinstateAgent'>, { state }: Circumstances): EventDraft[] {
  if (state.status === 'active') {
    return [refusal(command, 'REMIT_PERMISSION_AGENT_NOT_SUSPENDED', `${command.agentId} is not suspended`)];
  }
  if (samePerson(command.by, command.agentId)) return [refusal(command, ...selfApproval(command.by))];
  return [{ event: 'AgentReinstated' }];
}

function expireGrant(command: CommandOf<'ExpireGrant'>, { state, at }: Circumstances): EventDraft[] {
  const { grantId } = command;
  const found = grantNamed(state, grantId);
  if (found?.status === 'granted') {
    return at < found.expiresAt ? [] : [{ event: 'PermissionExpired', grantId }];
  }
  return [refusal(command, ...(problemOfGrant(grantId, found, at) ?? unknownGrant(grantId)), { grantId })];
}

function expireRequest(command: CommandOf<'ExpireRequest'>, { state, at }: Circumstances): EventDraft[] {
  const { requestId } = command;
  const found = requestNamed(state, requestId);
  if (found?.status !== 'open') return [refusalOfClosed(command, requestId, found)];
  return at < found.expiresAt ? [] : [{ event: 'PermissionRequestExpired', requestId }];
}

function supersede(command: CommandOf<'SupersedeRequest'>, { state, terms }: Circumstances): EventDraft[] {
  const { requestId } = command;
  const found = requestNamed(state, requestId);
  if (found?.status !== 'open') return [refusalOfClosed(command, requestId, found)];
  if (terms === undefined) return [refusal(command, ...NO_CHARTER, { requestId })];
  return saysTheSame(found, terms) ? [] : [superseded(requestId, terms.charterDigest)];
}

/**
 * Whether the grant had run out is compared with the time the intent is judged at, so a late timer or a late reservation
 * changes nothing. Revocation and suspension bind at once.
 */
function reserve(command: CommandOf<'ReserveUse'>, { state }: Circumstances): EventDraft[] {
  const { grantId, intentId, actionDigest } = command;
  const refuse = (code: RefusalCode, problem: string): EventDraft[] => [refusal(command, code, problem, { grantId })];
  const found = grantNamed(state, grantId);
  if (found === undefined) return refuse(...unknownGrant(grantId));
  // on record once more, so that this command, too, has one answer for ever
  if (found.reservations.has(reservationKey(command))) {
    return [{ event: 'PermissionReserved', grantId, intentId, actionDigest }];
  }
  if (state.status === 'suspended') return refuse(...suspended(command.agentId, state));
  const ended = problemOfGrant(grantId, found, Date.parse(command.judgedAt));
  if (ended !== undefined) return refuse(...ended);
  const bound = found.constraints.actionDigest;
  if (bound !== undefined && bound !== actionDigest) {
    return refuse('REMIT_PERMISSION_OTHER_ACTION', `grant ${grantId} is for another action`);
  }
  const left = usesLeft(found);
  if (left === null) return refuse('REMIT_PERMISSION_USES_UNLIMITED', `uses of grant ${grantId} are not counted`);
  const isTooLate = command.judgedVersion !== undefined && isExhaustedSince(found, command.judgedVersion);
  if (left === 0 || isTooLate) return refuse('REMIT_PERMISSION_NO_USE_LEFT', `every use of grant ${grantId} is taken`);
  return [{ event: 'PermissionReserved', grantId, intentId, actionDigest }];
}

/** What has been settled is forgotten, but the ids of the commands that settle an intent's use count once. */
function settleUse(command: CommandOf<'ConfirmUse' | 'ReleaseUse'>, { state }: Circumstances): EventDraft[] {
  const { grantId, intentId, actionDigest } = command;
  const use = { grantId, intentId, actionDigest };
  if (grantNamed(state, grantId)?.reservations.has(reservationKey(command)) !== true) {
    const problem = `intent ${intentId} has set no use of grant ${grantId} aside, or it has been settled`;
    return [refusal(command, 'REMIT_PERMISSION_USE_UNKNOWN', problem, { grantId })];
  }
  return command.command === 'ConfirmUse'
    ? [{ event: 'PermissionUsed', ...use, decisionId: command.decisionId }]
    : [{ event: 'PermissionReleased', ...use }];
}

type Problem = readonly [code: RefusalCode, problem: string];

/**
 * Why a person may not request more for an agent now: so much is open that they have requested, or that people have.
 * What the agent itself has asked for counts apart, so neither takes the other's room.
 */
export function problemOfOpen(
  state: AgentAuthority,
  { agentId, commandId, by }: Pick<CommandOf<'RequestPermission'>, 'agentId' | 'commandId' | 'by'>,
): Problem | undefined {
  const code = 'REMIT_PERMISSION_TOO_MANY_OPEN';
  const { requests: open } = state.alive;
  if (commandId.startsWith(AGENT_ASK_PREFIX) || open < MAX_OPEN_OF_PERSON) return undefined;
  if (open >= MAX_OPEN_REQUESTS) {
    return [code, `people have ${open} open requests for ${agentId}: decide some of them first`];
  }
  let own = 0;
  for (const { status, held, requestId, requestedBy } of state.requests.values()) {
    const isOfPerson = status === 'open' && held === undefined && !requestId.startsWith(AGENT_ASK_PREFIX);
    if (isOfPerson && samePerson(requestedBy, by)) own += 1;
  }
  if (own < MAX_OPEN_OF_PERSON) return undefined;
  return [code, `${by} has ${own} open requests for ${agentId}: cancel some, or wait until they are decided`];
}

const NO_CHARTER: Problem = ['REMIT_PERMISSION_NO_CHARTER', 'no charter is in force: activate one'];

function selfApproval(by: string): Problem {
  return ['REMIT_PERMISSION_SELF_APPROVAL', `${by} cannot decide on what is their own; someone else has to`];
}

function tooManyGrants(agentId: string): Problem {
  const problem = `${agentId} has ${MAX_GRANTS} grants, the most an agent may have: revoke some of them first`;
  return ['REMIT_PERMISSION_TOO_MANY_GRANTS', problem];
}

function unknownGrant(grantId: string): Problem {
  return ['REMIT_PERMISSION_GRANT_UNKNOWN', `there is no grant ${grantId}`];
}

function suspended(agentId: string, state: AgentAuthority & { readonly status: 'suspended' }): Problem {
  return ['REMIT_PERMISSION_AGENT_SUSPENDED', `${agentId} is suspended by ${state.by}: ${state.reason}`];
}

/** Why nothing can be lent to this agent now. */
function problemOfLending(
  agentId: string,
  state: AgentAuthority,
  terms: PermissionTerms | undefined,
): Problem | undefined {
  if (terms === undefined) return NO_CHARTER;
  if (!terms.agentKnown) return ['REMIT_PERMISSION_AGENT_UNKNOWN', `the charter knows no agent ${agentId}`];
  return state.status === 'suspended' ? suspended(agentId, state) : undefined;
}

interface Asked {
  readonly agentId: string;
  readonly permission: string;
  readonly durationMs: number;
  readonly uses: number | null;
  readonly constraints: Constraints | undefined;
  /** The constraints with what binds a held intent. */
  readonly bound: Constraints;
}

function problemOfTerms(asked: Asked, terms: PermissionTerms): Problem | undefined {
  const { agentId, permission, durationMs, uses, constraints } = asked;
  const term = terms.permissions.get(permission);
  if (term === undefined) return ['REMIT_PERMISSION_UNKNOWN', `the charter has no permission ${permission}`];
  if (durationMs < 1) return ['REMIT_PERMISSION_DURATION', `a grant must last at least 1 ms, not ${durationMs} ms`];
  if (durationMs > term.maxDurationMs) {
    return [
      'REMIT_PERMISSION_DURATION',
      `${permission} is granted for at most ${term.maxDurationMs} ms, not ${durationMs} ms`,
    ];
  }
  if (uses !== null && uses < 1) return ['REMIT_PERMISSION_USES', `a grant has at least one use, not ${uses}`];
  if (constraints !== undefined && namesNothing(constraints)) {
    return [
      'REMIT_PERMISSION_CONSTRAINT_EMPTY',
      'a constraint is given that binds nothing: name something, or leave it out',
    ];
  }
  const wrong = constraints && problemOfConstraints(constraints, terms.lists);
  if (wrong !== undefined) return ['REMIT_PERMISSION_CONSTRAINT_WRONG', wrong];
  if (constraints?.provenFrom === agentId) {
    const problem = `provenFrom names ${agentId} itself: a chain that it begins is its own word; name the agent that begins it`;
    return ['REMIT_PERMISSION_CONSTRAINT_WRONG', problem];
  }
  const open = openBindings(term.bind, asked.bound);
  if (open.length > 0) {
    const bound = open.map((binding) => `${binding} (${optionOfBinding(binding)})`).join(' and ');
    return ['REMIT_PERMISSION_BINDING_MISSING', `every grant of ${permission} must be bound to ${bound}`];
  }
  return undefined;
}

/** What the command line takes for a binding, and where its value comes from. */
function optionOfBinding(binding: Binding): string {
  switch (binding) {
    case 'action':
      return '--digest SHA256, the `actionDigest` of the decision that denied or held it';
    case 'chain':
      return '--chain ID, the `chainId` of the intent';
    case 'target':
      return '--target SYSTEM';
    case 'destination':
      return '--destination NAME';
    case 'parameters':
      return '--parameter PATH=VALUE';
    default:
      return `--parameter ${binding.replace(/^parameters\./, '')}=VALUE`;
  }
}

function problemOfDirectGrant(
  command: CommandOf<'GrantPermission' | 'BreakGlass'>,
  state: AgentAuthority,
  terms: PermissionTerms | undefined,
): Problem | undefined {
  const { agentId, commandId, by, constraints } = command;
  const outside = problemOfLending(agentId, state, terms);
  if (outside !== undefined || terms === undefined) return outside ?? NO_CHARTER;
  if (samePerson(by, agentId)) return selfApproval(by);
  if (state.alive.grants >= MAX_GRANTS) return tooManyGrants(agentId);
  if (grantNamed(state, commandId) !== undefined) return ['REMIT_PERMISSION_ID_TAKEN', `${commandId} is taken`];
  return problemOfTerms({ ...command, constraints, bound: constraints ?? {} }, terms);
}

/** Why the grant authorises nothing at that time, other than its constraints. */
function problemOfGrant(grantId: string, found: Grant | undefined, time: number): Problem | undefined {
  if (found === undefined) return unknownGrant(grantId);
  switch (found.status) {
    case 'revoked':
      return ['REMIT_PERMISSION_GRANT_REVOKED', `grant ${grantId} was revoked by ${found.revokedBy}`];
    case 'granted':
    case 'expired':
      if (time < found.expiresAt) return undefined;
      return ['REMIT_PERMISSION_GRANT_EXPIRED', `grant ${grantId} expired at ${isoTime(found.expiresAt)}`];
    default:
      return found satisfies never;
  }
}

function refusalOfClosed(command: PermissionCommand, requestId: string, found: ClosedRequest | undefined): Refusal {
  const refuse = (code: RefusalCode, problem: string): Refusal => refusal(command, code, problem, { requestId });
  if (found === undefined) return refuse('REMIT_PERMISSION_REQUEST_UNKNOWN', `there is no request ${requestId}`);
  switch (found.status) {
    case 'granted':
      return refuse('REMIT_PERMISSION_REQUEST_GRANTED', `request ${requestId} has been granted already`);
    case 'rejected':
      return refuse('REMIT_PERMISSION_REQUEST_REJECTED', `request ${requestId} was rejected by ${found.rejectedBy}`);
    case 'expired':
      return refuse('REMIT_PERMISSION_REQUEST_EXPIRED', `request ${requestId} expired at ${isoTime(found.expiresAt)}`);
    case 'cancelled':
      return refuse('REMIT_PERMISSION_REQUEST_CANCELLED', `request ${requestId} has been cancelled`);
    case 'superseded':
      return refuse(
        'REMIT_PERMISSION_REQUEST_SUPERSEDED',
        `request ${requestId} counts no more: ${BASIS_CHANGED}; ask again`,
      );
    default:
      return found satisfies never;
  }
}

function refusal(
  command: PermissionCommand,
  code: RefusalCode,
  problem: string,
  about: { readonly requestId?: string; readonly grantId?: string } = {},
): Refusal {
  return { event: 'PermissionRefused', command: command.command, code, problem, ...about };
}

/** The agent, the person it acts for, and whoever asked. */
function isOwnRequest(person: string, open: OpenRequest, agentId: string): boolean {
  const { requestedBy, onBehalfOf } = open;
  return [agentId, requestedBy, onBehalfOf].some((own) => own !== undefined && samePerson(own, person));
}

function inOrder(grants: readonly Grant[]): Grant[] {
  return [...grants].sort((one, other) => one.grantedAt - other.grantedAt || (one.grantId < other.grantId ? -1 : 1));
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
