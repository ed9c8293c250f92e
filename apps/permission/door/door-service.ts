import type { Bus } from '#bus';
import {
  sha256,
  type AgentAuthorityView,
  type CharterActivatedAnswer,
  type CharterView,
  type DiscrepancyView,
  type ManyOrdersAnswer,
  type OrderAnswer,
  type RequestDetail,
  type RequestView,
  type ReviewReport,
} from '#contracts';
import {
  ALIKE_APPROVAL_PREFIX,
  checkCharter,
  hygieneFindings,
  INITIAL_AUTHORITY,
  isOnRecord,
  problemOfOpen,
  requestNamed,
  samePerson,
  type AgentAuthority,
  type Charter,
  type LogDiscrepancy,
  type PermissionCommand,
  type PermissionRequest,
  type RecordAccess,
} from '#domain';
import { CHARTER_KEY, type Views } from '#segment';
import { activateCharter, type LogWatch } from '#service';
import { discrepancyView } from './discrepancies.js';
import { heldAction } from './held-action.js';
import type { OrderDesk } from './order-desk.js';
import { DoorRefusal, problemOf, refusalOf } from './problems.js';
import { askedBeforeView, authorityView, isoTime, requestView } from './shown-to-people.js';
import type { Person } from './tokens.js';
import { whoMay, type StandingRoles, type WhoMay } from './who-may.js';

/** Injection token of the {@link DoorService}. */
export const DOOR_SERVICE = Symbol('remit.door.service');

type Order<Command> = Command extends PermissionCommand ? Omit<Command, 'by'> : never;
type OrderOf<Name extends PermissionCommand['command']> = Order<Extract<PermissionCommand, { command: Name }>>;

/** Which request is meant. Ids of requests are unique per agent only. */
interface Which {
  readonly request: string;
  readonly agent?: string | undefined;
  readonly actionDigest?: string | undefined;
}

interface Found {
  readonly agentId: string;
  readonly request: PermissionRequest;
}

export interface DoorServiceOptions {
  readonly bus: Bus;
  readonly views: Views;
  readonly desk: OrderDesk;
  readonly messages: Pick<Bus, 'readAt'>;
  readonly log: Pick<LogWatch, 'all' | 'find' | 'acknowledge'>;
  /** Does what an acknowledgement asks for, so that reading can go on. */
  readonly makeGood: (discrepancy: LogDiscrepancy) => Promise<void>;
  readonly roles: StandingRoles;
  /** Decisions are signed, so that causes can be proven. */
  readonly decisionsSigned: boolean;
  /** Resolves once it is on `audit.access`. */
  readonly putOnRecord: (access: RecordAccess) => Promise<void>;
  /** How long to wait for the views to have read what there is, ms. */
  readonly waitMs: number;
  /** ms since the epoch */
  readonly now: () => number;
}

/** What people can see and order. Everything it throws for them is a {@link DoorRefusal}. */
export class DoorService {
  constructor(private readonly options: DoorServiceOptions) {}

  async activateCharter(person: Person, commandId: string, text: string): Promise<CharterActivatedAnswer> {
    await this.#upToDate([]);
    this.#may().govern(person);
    const checked = checkCharter(text, sha256);
    if (!checked.ok) {
      const problems = checked.problems.slice(0, 100).map(({ code, line, column, message, hint }) => ({
        code,
        line,
        column,
        message,
        ...(hint === undefined ? {} : { hint }),
      }));
      throw new DoorRefusal(422, 'REMIT_DOOR_CHARTER_REFUSED', 'the charter is refused, see problems', { problems });
    }
    const { charter } = checked;
    if (!this.#hasActivated(commandId, charter)) {
      await activateCharter(this.options.bus, { text, charter, activatedBy: person.name, commandId });
      await this.#upToDate([]);
      // somebody else was faster with the same id
      this.#hasActivated(commandId, charter);
    }
    const warnings = checked.warnings.map(({ code, line, column, message, hint }) => ({
      code,
      line,
      column,
      message,
      ...(hint === undefined ? {} : { hint }),
    }));
    return { name: charter.name, digest: charter.digest, stage: charter.stage, activatedBy: person.name, warnings };
  }

  /** Whether this very command has been carried out. Throws 409 when its id has activated another charter. */
  #hasActivated(commandId: string, { digest }: Charter): boolean {
    const activated = this.options.views.charter.latest(CHARTER_KEY)?.activations.get(commandId);
    if (activated === undefined || activated === digest) return activated === digest;
    const detail = `the Idempotency-Key ${commandId} has activated another charter: nothing has changed; use a new one`;
    throw new DoorRefusal(409, 'REMIT_DOOR_COMMAND_ID_REUSED', detail, { commandId });
  }

  async currentCharter(): Promise<CharterView> {
    await this.#upToDate([]);
    const inForce = this.options.views.charter.latest(CHARTER_KEY);
    if (inForce === undefined) {
      throw new DoorRefusal(404, 'REMIT_DOOR_NO_CHARTER', 'no charter is in force: activate one');
    }
    const { charter, activatedBy, text } = inForce;
    return { name: charter.name, digest: charter.digest, stage: charter.stage, activatedBy, text };
  }

  async grants(agentId: string, at: number | undefined): Promise<AgentAuthorityView> {
    await this.#upToDate([agentId]);
    const { views, now } = this.options;
    // as an intent judged at that moment would have found it
    const authority =
      at === undefined ? { state: views.permissions.latest(agentId) } : views.permissions.asOf(agentId, at);
    if (authority === undefined) {
      const detail =
        'what was in force then is no longer kept here: ask the audit log with `remit at TIME permissions`';
      throw new DoorRefusal(410, 'REMIT_DOOR_NOT_KEPT', detail);
    }
    return authorityView(agentId, authority.state, this.#charter(), at ?? now());
  }

  grant(person: Person, order: Omit<OrderOf<'GrantPermission'>, 'roles'>): Promise<OrderAnswer> {
    const command = { ...order, roles: [...person.roles], by: person.name };
    return this.#orderIf(command, () => this.#may().grant(person, order.permission));
  }

  takeBack(person: Person, order: OrderOf<'RevokeGrant' | 'RevokeAllGrants' | 'SuspendAgent'>): Promise<OrderAnswer> {
    return this.#orderIf({ ...order, by: person.name }, () => this.#may().takeBack(person));
  }

  async reinstate(person: Person, order: OrderOf<'ReinstateAgent'>): Promise<OrderAnswer> {
    await this.#upToDate([order.agentId]);
    const authority = this.#authority(order.agentId);
    // whoever has stopped an agent may undo it; what somebody else stopped is for administrators
    const isOwn = authority?.status === 'suspended' && samePerson(authority.by, person.name);
    if (isOwn) this.#may().takeBack(person);
    else this.#may().govern(person);
    return this.order(person, order);
  }

  /**
   * Orders what only the charter of now has to permit: `may` throws where it does not. What the store knows of the
   * command is asked meanwhile. Any agent may be suspended, whatever is known of it.
   */
  async #orderIf(command: PermissionCommand, may: () => void): Promise<OrderAnswer> {
    this.#refuseUnprovable(command);
    const standing = this.options.desk.standing(command);
    await this.#upToDate([]);
    may();
    if (command.command !== 'SuspendAgent') await this.#demandKnown(command);
    return this.options.desk.order(command, standing);
  }

  /** What the log alone decides about, for agents that are known. */
  async order(person: Person, order: Order<PermissionCommand>): Promise<OrderAnswer> {
    this.#refuseUnprovable(order);
    await this.#upToDate([]);
    await this.#demandKnown(order);
    if (order.command === 'RequestPermission') this.#demandRoom({ ...order, by: person.name });
    return this.options.desk.order({ ...order, by: person.name });
  }

  /** A refusal by the log is kept for ever, so whoever has too much open is refused here. The log decides all the same. */
  #demandRoom(command: Extract<PermissionCommand, { command: 'RequestPermission' }>): void {
    const authority = this.#authority(command.agentId);
    // sent again it has its answer
    if (authority === undefined || requestNamed(authority, command.commandId) !== undefined) return;
    const problem = problemOfOpen(authority, command);
    if (problem !== undefined) throw refusalOf(...problem, command.commandId);
  }

  /** A grant that could never apply is told at once, and not by the denials that come of it. */
  #refuseUnprovable(order: Order<PermissionCommand>): void {
    if (this.options.decisionsSigned || !('constraints' in order) || order.constraints?.provenFrom === undefined)
      return;
    const detail =
      'no signing keys are in use, so no cause can be proven and provenFrom would never be kept: see docs/guide/security.md';
    throw new DoorRefusal(409, 'REMIT_DOOR_NOTHING_PROVEN', detail);
  }

  /**
   * Whoever makes up agents is refused here: a refusal by the log would be kept for ever, and each would be one more agent
   * that it speaks of. The charter is up to date.
   */
  async #demandKnown({ agentId, commandId }: Pick<PermissionCommand, 'agentId' | 'commandId'>): Promise<void> {
    const charter = this.#charter();
    if (charter?.agents.has(agentId) === true) return;
    await this.#upToDate([agentId]);
    const authority = this.#authority(agentId);
    if (authority !== undefined && isOnRecord(authority)) return;
    if (charter === undefined) {
      throw refusalOf('REMIT_PERMISSION_NO_CHARTER', 'no charter is in force: activate one', commandId);
    }
    throw refusalOf('REMIT_PERMISSION_AGENT_UNKNOWN', `the charter knows no agent ${agentId}`, commandId);
  }

  /** Every agent that the charter or the log knows and that is not suspended yet; those of the charter first. */
  async suspendAll(person: Person, commandId: string, reason: string): Promise<ManyOrdersAnswer> {
    await this.#upToDate();
    this.#may().takeBack(person);
    const commands = this.#agentIds()
      .filter((agentId) => this.#authority(agentId)?.status !== 'suspended')
      .map((agentId): PermissionCommand => ({ command: 'SuspendAgent', agentId, commandId, by: person.name, reason }));
    return this.#many(commands.map((command) => ({ command })));
  }

  async requests(agent: string | undefined, status: 'open' | 'all'): Promise<{ at: string; requests: RequestView[] }> {
    await this.#upToDate(agent === undefined ? undefined : [agent]);
    const time = this.options.now();
    const requests = (agent === undefined ? this.#agentIds() : [agent])
      .flatMap((agentId) =>
        [...(this.#authority(agentId)?.requests.values() ?? [])].map((request) => requestView(agentId, request, time)),
      )
      .filter((view) => status === 'all' || view.status === 'open')
      .sort(
        (one, other) => one.expiresAt.localeCompare(other.expiresAt) || one.requestId.localeCompare(other.requestId),
      );
    return { at: isoTime(time), requests };
  }

  async requestDetail(person: Person, which: Which): Promise<RequestDetail> {
    await this.#upToDate(agentsOf(which));
    const { agentId, request } = this.#find(which);
    const action = await this.#heldAction(person, agentId, request);
    const time = this.options.now();
    return {
      ...requestView(agentId, request, time),
      askedBefore: askedBeforeView(this.#authority(agentId) ?? INITIAL_AUTHORITY, request, time),
      ...(action === undefined ? {} : { action }),
    };
  }

  /** Put on record before it is read; whoever may not see it is told which roles may. */
  async #heldAction(person: Person, agentId: string, request: PermissionRequest): Promise<RequestDetail['action']> {
    const { held, requestId } = request;
    if (held === undefined) return undefined;
    const because = this.#may().whyNotSeeHeld(person, request);
    if (because !== undefined) return { status: 'withheld', because };
    const { intentId } = held;
    const at = isoTime(this.options.now());
    await this.options.putOnRecord({ event: 'HeldActionRead', by: person.name, at, agentId, intentId, requestId });
    return heldAction(agentId, held, this.options.messages);
  }

  async approve(person: Person, commandId: string, which: Which, reason: string): Promise<OrderAnswer> {
    await this.#upToDate(agentsOf(which));
    return this.options.desk.order(this.#approval(person, commandId, which, reason));
  }

  async reject(person: Person, commandId: string, which: Which, reason: string): Promise<OrderAnswer> {
    await this.#upToDate(agentsOf(which));
    const { agentId, request } = this.#find(which);
    const { requestId } = request;
    const roles = [...person.roles];
    return this.order(person, { command: 'RejectRequest', agentId, commandId, requestId, roles, reason });
  }

  async cancel(person: Person, commandId: string, which: Which, reason: string): Promise<OrderAnswer> {
    await this.#upToDate(agentsOf(which));
    const { agentId, request } = this.#find(which);
    return this.order(person, { command: 'CancelRequest', agentId, commandId, requestId: request.requestId, reason });
  }

  /** Several of the same kind: each approval is an order of its own, bound to its own action. */
  async approveAlike(
    person: Person,
    commandId: string,
    whichOnes: readonly Which[],
    reason: string,
  ): Promise<ManyOrdersAnswer> {
    await this.#upToDate();
    const time = this.options.now();
    const kinds = new Set(
      whichOnes.map((which) => {
        const { agentId, request } = this.#find(which);
        return requestView(agentId, request, time).alike;
      }),
    );
    if (kinds.size > 1) {
      const detail = 'these requests ask for different things: approve each for itself';
      throw new DoorRefusal(422, 'REMIT_DOOR_NOT_ALIKE', detail);
    }
    if (new Set(whichOnes.map(({ request }) => request)).size < whichOnes.length) {
      throw new DoorRefusal(422, 'REMIT_DOOR_NAMED_TWICE', 'a request is named twice');
    }
    return this.#many(
      whichOnes.map((which) => {
        const ownId = sha256(`${commandId}\n${which.request}`).slice(0, 32);
        const command = this.#approval(person, `${ALIKE_APPROVAL_PREFIX}${ownId}`, which, reason);
        return { command, requestId: which.request };
      }),
    );
  }

  discrepancies(status: 'open' | 'all'): { discrepancies: DiscrepancyView[] } {
    const views = this.options.log.all().map(discrepancyView);
    return { discrepancies: views.filter((view) => status === 'all' || view.status === 'open') };
  }

  /** What is to be made good is made good first: once it counts as acknowledged, everybody goes on. */
  async acknowledgeDiscrepancy(person: Person, id: string, reason: string): Promise<DiscrepancyView> {
    // the charter may be what is missing: administrators are those of the configuration
    this.#may().govern(person);
    const { log, makeGood } = this.options;
    const found = log.find(id);
    if (found === undefined) {
      throw new DoorRefusal(
        404,
        'REMIT_DOOR_DISCREPANCY_UNKNOWN',
        'there is no such discrepancy: remit log discrepancies',
      );
    }
    if (found.acknowledged === undefined) await makeGood(found.discrepancy);
    return discrepancyView((await log.acknowledge(id, person.name, reason)) ?? found);
  }

  async review(): Promise<ReviewReport> {
    await this.#upToDate();
    const now = this.options.now();
    const authorities = new Map(
      this.#agentIds().flatMap((agentId) => {
        const authority = this.#authority(agentId);
        return authority === undefined ? [] : [[agentId, authority] as const];
      }),
    );
    const findings = hygieneFindings({ charter: this.#charter()?.document, authorities, now });
    return { at: isoTime(now), findings };
  }

  #approval(person: Person, commandId: string, which: Which, reason: string): PermissionCommand {
    const { agentId, request } = this.#find(which);
    return {
      command: 'ApproveRequest',
      agentId,
      commandId,
      by: person.name,
      roles: [...person.roles],
      requestId: request.requestId,
      reason,
      ...(which.actionDigest === undefined ? {} : { actionDigest: which.actionDigest }),
    };
  }

  async #many(orders: readonly { command: PermissionCommand; requestId?: string }[]): Promise<ManyOrdersAnswer> {
    const results = await this.options.desk.orderAll(orders.map(({ command }) => command));
    const answer: ManyOrdersAnswer = { done: [], failed: [] };
    results.forEach((result, index) => {
      const order = orders[index];
      if (result.status === 'fulfilled') answer.done.push(result.value);
      else if (order !== undefined) {
        const { command, requestId } = order;
        const failed = { agentId: command.agentId, problem: problemOf(result.reason) };
        answer.failed.push(requestId === undefined ? failed : { ...failed, requestId });
      }
    });
    return answer;
  }

  #find({ request: requestId, agent }: Which): Found {
    const found = (agent === undefined ? this.#agentIds() : [agent]).flatMap((agentId): Found[] => {
      const authority = this.#authority(agentId);
      const request = authority === undefined ? undefined : requestNamed(authority, requestId);
      return request === undefined ? [] : [{ agentId, request }];
    });
    const [one, ...others] = found;
    if (one === undefined) {
      throw new DoorRefusal(404, 'REMIT_PERMISSION_REQUEST_UNKNOWN', 'there is no such request');
    }
    if (others.length > 0) {
      const detail = 'several agents have a request of that id: say whose (agent)';
      throw new DoorRefusal(409, 'REMIT_DOOR_REQUEST_AMBIGUOUS', detail);
    }
    return one;
  }

  #may(): WhoMay {
    return whoMay(this.#charter(), this.options.roles);
  }

  #charter(): Charter | undefined {
    return this.options.views.charter.latest(CHARTER_KEY)?.charter;
  }

  #authority(agentId: string): AgentAuthority | undefined {
    return this.options.views.permissions.latest(agentId);
  }

  /** The agents of the charter, then the others of whom the log knows more than refusals; each by id. */
  #agentIds(): string[] {
    const onRecord = [...this.options.views.permissions.keys()].filter((agentId) => {
      const authority = this.#authority(agentId);
      return authority !== undefined && isOnRecord(authority);
    });
    return [...new Set([...[...(this.#charter()?.agents.keys() ?? [])].sort(), ...onRecord.sort()])];
  }

  /**
   * People see and order by what the log says now of the charter and of these agents, of all unless told, or hear that
   * nobody knows.
   */
  async #upToDate(agentIds?: readonly string[]): Promise<void> {
    const { views, waitMs } = this.options;
    if (await (agentIds === undefined ? views.catchUp(waitMs) : views.catchUpOn(agentIds, waitMs))) return;
    throw new DoorRefusal(503, 'REMIT_DOOR_BEHIND', 'the door is still reading the log: try again');
  }
}

function agentsOf({ agent }: Which): readonly string[] | undefined {
  return agent === undefined ? undefined : [agent];
}
