import { get } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { MemoryBus } from '#bus';
import { EVENTS, readEvent, sha256, TOPICS, writeEvent, type OrderAnswer } from '#contracts';
import {
  actionDigestOf,
  intentDigestOf,
  MAX_OPEN_OF_PERSON,
  type Action,
  type HeldIntent,
  type PermissionCommand,
} from '#domain';
import { eventually, readTopic } from '#testing';
import { CHARTER_TEXT, GOVERNANCE, startDoorWorld, type DoorAnswer, type DoorWorld, type Who } from './door-world.js';

const SAM: Who = { name: 'sam', roles: ['security'] };
const OLGA: Who = { name: 'olga', roles: ['operations'] };
const OTTO: Who = { name: 'otto', roles: ['operations'] };
const NOBODY: Who = { name: 'ned' };

const grant = (changes: object = {}) => ({
  permission: 'admin_access',
  durationMs: 60_000,
  reason: 'ticket 4711',
  ...changes,
});
const facts = (given: DoorAnswer<OrderAnswer>): string[] => given.answer().events.map(({ event }) => event);
const said = ({ status, code }: DoorAnswer): [number, string] => [status, code];

describe('the one door for people', () => {
  let world: DoorWorld;
  const clerk = { params: { agent: 'clerk' } };

  beforeAll(async () => {
    world = await startDoorWorld();
    await world.call(GOVERNANCE, 'activateCharter', { body: { text: CHARTER_TEXT } });
  });

  beforeEach(async () => {
    await world.call(GOVERNANCE, 'reinstate', { ...clerk, query: { reason: 'next test' } });
    await world.call(GOVERNANCE, 'revokeAll', { ...clerk, query: { reason: 'next test' } });
  });

  afterAll(() => world.close());

  async function ordersOnLog(): Promise<number> {
    const [ends] = [...(await world.bus.ends([TOPICS.permissionCommands.name])).values()];
    return (ends ?? []).reduce((sum, end) => sum + end, 0);
  }

  describe('lends and takes back', () => {
    it('a grant says who gave it, why and for how long, and shows the time remaining', async () => {
      const answer = await world.call(SAM, 'grant', {
        ...clerk,
        body: grant({ uses: 5, constraints: { chainId: 'c-7' } }),
      });
      expect([answer.status, facts(answer)]).toEqual([200, ['PermissionGranted']]);
      const body = (await world.call(NOBODY, 'grants', clerk)).answer();
      expect(body).toMatchObject({ agentId: 'clerk', status: 'active', standing: ['view'] });
      expect(body.grants).toEqual([
        expect.objectContaining({
          permission: 'admin_access',
          uses: 5,
          usesLeft: 5,
          grantedBy: 'sam',
          reason: 'ticket 4711',
          constraints: { chainId: 'c-7' },
        }),
      ]);
      expect(body.grants[0]?.remainingMs).toBeGreaterThan(0);
    });

    it('a revoked grant is held no more, yet is seen at the moment when it was', async () => {
      const granted = (await world.call(SAM, 'grant', { ...clerk, body: grant() })).answer();
      const at = new Date().toISOString();
      const grantId = granted.commandId;
      const revoked = await world.call(OLGA, 'revoke', {
        params: { agent: 'clerk', grant: grantId },
        query: { reason: 'done' },
      });
      expect([revoked.status, facts(revoked)]).toEqual([200, ['PermissionRevoked']]);
      expect((await world.call(NOBODY, 'grants', clerk)).answer().grants).toEqual([]);
      expect((await world.call(NOBODY, 'grants', { ...clerk, query: { at } })).answer().grants).toEqual([
        expect.objectContaining({ grantId }),
      ]);
    });

    it('all grants of an agent go at once', async () => {
      await world.call(SAM, 'grant', { ...clerk, body: grant() });
      await world.call(SAM, 'grant', { ...clerk, body: grant() });
      const answer = await world.call(SAM, 'revokeAll', { ...clerk, query: { reason: 'incident' } });
      expect(facts(answer)).toEqual(['PermissionRevoked', 'PermissionRevoked']);
    });

    it.each([
      ['the role that approves it is needed', NOBODY, grant(), 403, 'REMIT_PERMISSION_ROLE_MISSING'],
      [
        'what two must approve is not granted by one',
        OLGA,
        grant({ permission: 'production_change' }),
        403,
        'REMIT_PERMISSION_APPROVALS_NEEDED',
      ],
      [
        'without approvers in the charter it is for administrators',
        SAM,
        grant({ permission: 'send_report' }),
        403,
        'REMIT_DOOR_ROLE_MISSING',
      ],
      ['a permission the charter lacks', GOVERNANCE, grant({ permission: 'admin' }), 404, 'REMIT_PERMISSION_UNKNOWN'],
      ['longer than the charter allows', SAM, grant({ durationMs: 16 * 60_000 }), 422, 'REMIT_PERMISSION_DURATION'],
      [
        'a proven chain where no keys are in use',
        SAM,
        grant({ constraints: { provenFrom: 'planner' } }),
        409,
        'REMIT_DOOR_NOTHING_PROVEN',
      ],
      [
        'a constraint that binds nothing',
        SAM,
        grant({ constraints: { target: '*' } }),
        422,
        'REMIT_PERMISSION_CONSTRAINT_EMPTY',
      ],
      ['no reason', SAM, grant({ reason: ' ' }), 400, 'REMIT_DOOR_INVALID'],
      ['a field that is not there', SAM, grant({ forever: true }), 400, 'REMIT_DOOR_INVALID'],
    ])('nothing changes: %s', async (_, who, body, status, code) => {
      const answer = await world.call(who, 'grant', { ...clerk, body });
      expect(said(answer)).toEqual([status, code]);
      expect((await world.call(NOBODY, 'grants', clerk)).answer().grants).toEqual([]);
    });

    it('past the approvals takes its own role, is short, and stays under review until a second person closes it', async () => {
      const [duty, second] = [
        { name: 'dora', roles: ['duty'] },
        { name: 'dan', roles: ['duty'] },
      ] as const;
      const body = grant({ permission: 'production_change', reason: 'the ledger is down' });
      expect(said(await world.call(OLGA, 'breakGlass', { ...clerk, body }))).toEqual([
        403,
        'REMIT_PERMISSION_ROLE_MISSING',
      ]);
      const long = { ...body, durationMs: 11 * 60_000 };
      expect(said(await world.call(duty, 'breakGlass', { ...clerk, body: long }))).toEqual([
        422,
        'REMIT_PERMISSION_DURATION',
      ]);
      const broken = (await world.call(duty, 'breakGlass', { ...clerk, body })).answer();
      expect(broken.events).toEqual([expect.objectContaining({ event: 'PermissionGranted', breakGlass: true })]);
      const openReviews = async (): Promise<(string | undefined)[]> =>
        (await world.call(NOBODY, 'review'))
          .answer()
          .findings.filter(({ kind }) => kind === 'open-review')
          .map(({ grantId }) => grantId);
      expect(await openReviews()).toEqual([broken.commandId]);
      const looked = { params: { agent: 'clerk', grant: broken.commandId }, body: { reason: 'right so' } };
      expect(said(await world.call(duty, 'closeReview', looked))).toEqual([403, 'REMIT_PERMISSION_SELF_APPROVAL']);
      expect(facts(await world.call(second, 'closeReview', looked))).toEqual(['PermissionReviewClosed']);
      expect(await openReviews()).toEqual([]);
    });

    it('nobody lends to themselves', async () => {
      const answer = await world.call({ name: 'clerk', roles: ['security'] }, 'grant', { ...clerk, body: grant() });
      expect(said(answer)).toEqual([403, 'REMIT_PERMISSION_SELF_APPROVAL']);
    });

    it('an agent the charter does not know gets nothing', async () => {
      const answer = await world.call(SAM, 'grant', { params: { agent: 'stranger' }, body: grant() });
      expect(said(answer)).toEqual([404, 'REMIT_PERMISSION_AGENT_UNKNOWN']);
    });
  });

  describe('orders once', () => {
    it.each([
      ['a request', 'request', {}, { permissions: ['admin_access'], durationMs: 60_000, reason: 'made up' }],
      ['a grant', 'grant', {}, grant()],
      ['a grant past the approvals', 'breakGlass', {}, grant()],
      ['the end of a review', 'closeReview', { grant: 'g' }, { reason: 'made up' }],
    ] as const)(
      '%s for an agent that somebody has made up leaves nothing on the log',
      async (_, operation, rest, body) => {
        const before = await ordersOnLog();
        const answer = await world.call(NOBODY, operation, { params: { agent: '0-made-up', ...rest }, body });
        expect(said(answer)).toEqual([404, 'REMIT_PERMISSION_AGENT_UNKNOWN']);
        expect(await ordersOnLog()).toBe(before);
        expect(await world.everything()).not.toContain('0-made-up');
      },
    );

    it('the same order under the same id counts once, and has the same answer', async () => {
      const body = grant({ reason: 'sent twice' });
      const [one, other] = [
        await world.call(SAM, 'grant', { ...clerk, body, id: 'once-1' }),
        await world.call(SAM, 'grant', { ...clerk, body, id: 'once-1' }),
      ];
      expect(other.answer()).toEqual(one.answer());
      expect((await world.call(NOBODY, 'grants', clerk)).answer().grants).toHaveLength(1);
    });

    it('another order under a used id is refused, and never reaches the log', async () => {
      await world.call(SAM, 'grant', { ...clerk, body: grant(), id: 'twice-1' });
      const before = await ordersOnLog();
      const answer = await world.call(SAM, 'grant', { ...clerk, body: grant({ durationMs: 1 }), id: 'twice-1' });
      expect(said(answer)).toEqual([409, 'REMIT_DOOR_COMMAND_ID_REUSED']);
      expect(await ordersOnLog()).toBe(before);
    });

    it.each(['hold:x', 'agent:x', 'a#b', 'a b', 'x'.repeat(129)])('the id %j is nobody’s to give', async (id) => {
      const answer = await world.call(SAM, 'suspend', { ...clerk, body: { reason: 'x' }, id });
      expect(said(answer)).toEqual([400, 'REMIT_DOOR_IDEMPOTENCY_KEY']);
    });
  });

  describe('stops agents', () => {
    it('whoever may approve may suspend; suspended, an agent gets nothing', async () => {
      expect(facts(await world.call(SAM, 'suspend', { ...clerk, body: { reason: 'odd' } }))).toEqual([
        'AgentSuspended',
      ]);
      expect(said(await world.call(SAM, 'grant', { ...clerk, body: grant() }))).toEqual([
        409,
        'REMIT_PERMISSION_AGENT_SUSPENDED',
      ]);
      const body = (await world.call(NOBODY, 'grants', clerk)).answer();
      expect(body).toMatchObject({ status: 'suspended', suspendedBy: 'sam', suspendedBecause: 'odd' });
    });

    it('somebody without a role stops nobody', async () => {
      expect(said(await world.call(NOBODY, 'suspend', { ...clerk, body: { reason: 'x' } }))).toEqual([
        403,
        'REMIT_DOOR_ROLE_MISSING',
      ]);
    });

    it('every grant of an agent is taken back at once, and each is named, however many there are', async () => {
      const many = Array.from({ length: 300 }, (_, index) => {
        const command = { command: 'GrantPermission' as const, agentId: 'clerk', by: 'sam', roles: ['security'] };
        const data = { ...command, ...grant(), uses: null, commandId: `many-${String(index)}` };
        const event = writeEvent(EVENTS.permissionCommand, {
          id: data.commandId,
          source: '/test',
          subject: 'clerk',
          data,
        });
        return { topic: TOPICS.permissionCommands.name, key: 'clerk', ...event };
      });
      await world.bus.publish(many);
      await eventually(async () => (await world.call(NOBODY, 'grants', clerk)).answer().grants.length === 300);
      const answer = await world.call(SAM, 'revokeAll', { ...clerk, query: { reason: 'incident' }, id: 'all-of-them' });
      expect([answer.status, facts(answer)]).toEqual([200, new Array(300).fill('PermissionRevoked')]);
      const before = await ordersOnLog();
      const again = await world.call(SAM, 'revokeAll', { ...clerk, query: { reason: 'incident' }, id: 'all-of-them' });
      expect(again.answer()).toEqual(answer.answer());
      // it is answered from what is known: nothing is ordered a second time
      expect(await ordersOnLog()).toBe(before);
    });

    it('what another has stopped only administrators let go on', async () => {
      await world.call(SAM, 'suspend', { ...clerk, body: { reason: 'odd' } });
      const query = { reason: 'fine' };
      expect(said(await world.call(OLGA, 'reinstate', { ...clerk, query }))).toEqual([403, 'REMIT_DOOR_ROLE_MISSING']);
      expect(facts(await world.call(SAM, 'reinstate', { ...clerk, query }))).toEqual(['AgentReinstated']);
      await world.call(SAM, 'suspend', { ...clerk, body: { reason: 'odd again' } });
      expect(facts(await world.call(GOVERNANCE, 'reinstate', { ...clerk, query }))).toEqual(['AgentReinstated']);
    });

    it('the kill switch stops every agent of the charter, and again only those that are not stopped', async () => {
      const first = await world.call(SAM, 'suspendAll', { body: { reason: 'incident 42' } });
      expect(first.answer().done.map(({ agentId }) => agentId)).toEqual(expect.arrayContaining(['clerk', 'cleaner']));
      expect(first.answer().failed).toEqual([]);
      const again = await world.call(SAM, 'suspendAll', { body: { reason: 'incident 42' } });
      expect(again.answer()).toEqual({ done: [], failed: [] });
      await world.call(GOVERNANCE, 'reinstate', { params: { agent: 'cleaner' }, query: { reason: 'over' } });
    });
  });

  describe('knows agents by what came of something', () => {
    const activate = (text: string) => world.call(GOVERNANCE, 'activateCharter', { body: { text } });

    it('the kill switch stops the agents of the charter first, then those of earlier charters, and nobody who was only refused', async () => {
      const former = '  0-former: { scope: { actions: [view], systems: [accounts] } }\npermissions:';
      (await activate(CHARTER_TEXT.replace('permissions:\n', `${former}\n`))).answer();
      (await world.call(SAM, 'grant', { params: { agent: '0-former' }, body: grant() })).answer();
      (await activate(CHARTER_TEXT)).answer();
      // refused by the log itself, as what was on its way when the charter changed
      const refused: PermissionCommand = {
        command: 'RequestPermission',
        ...{ agentId: '0-refused', commandId: 'late', by: 'ned', reason: 'made up', waitMs: 60_000 },
        ...{ needs: [{ permission: 'admin_access' }], durationMs: 60_000, uses: 1 },
      };
      const command = writeEvent(EVENTS.permissionCommand, {
        ...{ id: 'late', source: '/remit/door', subject: '0-refused', data: refused },
      });
      await world.bus.publish([{ topic: TOPICS.permissionCommands.name, key: '0-refused', ...command }]);
      await eventually(async () => {
        const events = await readTopic(world.bus, TOPICS.permissionEvents.name);
        return events.some(({ key }) => String(key) === '0-refused');
      });
      const { done, failed } = (await world.call(SAM, 'suspendAll', { body: { reason: 'incident 43' } })).answer();
      expect(done.map(({ agentId }) => agentId)).toEqual(['cleaner', 'clerk', '0-former']);
      expect(failed).toEqual([]);
      await world.call(GOVERNANCE, 'reinstate', { params: { agent: 'cleaner' }, query: { reason: 'over' } });
    });
  });

  describe('decides requests', () => {
    const asked = { permissions: ['production_change'], durationMs: 60_000, reason: 'migration' };

    async function ask(): Promise<string> {
      return String((await world.call(NOBODY, 'request', { ...clerk, body: asked })).answer().commandId);
    }

    it('two people with the role complete it, each once', async () => {
      const request = await ask();
      const approve = (who: Who) => world.call(who, 'approve', { params: { request }, body: { reason: 'seen' } });
      expect(facts(await approve(OLGA))).toEqual(['PermissionApprovalEntered']);
      expect(said(await approve(OLGA))).toEqual([409, 'REMIT_PERMISSION_ALREADY_APPROVED']);
      expect(said(await approve(SAM))).toEqual([403, 'REMIT_PERMISSION_ROLE_MISSING']);
      const between = (await world.call(NOBODY, 'requests')).answer();
      expect(between.requests.find(({ requestId }) => requestId === request)).toMatchObject({
        status: 'open',
        needs: [{ permission: 'production_change', approvedBy: ['olga'] }],
      });
      expect(facts(await approve(OTTO))).toEqual(['PermissionApprovalEntered', 'PermissionGranted']);
      expect(said(await approve(OTTO))).toEqual([409, 'REMIT_PERMISSION_REQUEST_GRANTED']);
    });

    it('one rejection ends it, and who asked may take it back, but not decide it', async () => {
      const request = await ask();
      const body = { reason: 'no' };
      const self: Who = { name: 'ned', roles: ['operations'] };
      expect(said(await world.call(self, 'approve', { params: { request }, body }))).toEqual([
        403,
        'REMIT_PERMISSION_SELF_APPROVAL',
      ]);
      expect(facts(await world.call(OLGA, 'reject', { params: { request }, body }))).toEqual(['PermissionRejected']);
      expect((await world.call(NOBODY, 'requestDetail', { params: { request } })).answer()).toMatchObject({
        status: 'rejected',
        rejectedBy: 'olga',
        rejectedBecause: 'no',
      });
      expect(said(await world.call(NOBODY, 'cancel', { params: { request }, body }))).toEqual([
        409,
        'REMIT_PERMISSION_REQUEST_REJECTED',
      ]);
      const other = await ask();
      expect(said(await world.call(OLGA, 'cancel', { params: { request: other }, body }))).toEqual([
        403,
        'REMIT_PERMISSION_NOT_REQUESTER',
      ]);
      expect(facts(await world.call(NOBODY, 'cancel', { params: { request: other }, body }))).toEqual([
        'PermissionRequestCancelled',
      ]);
    });

    it('a request nobody made is unknown', async () => {
      const answer = await world.call(OLGA, 'approve', { params: { request: 'nope' }, body: { reason: 'x' } });
      expect(said(answer)).toEqual([404, 'REMIT_PERMISSION_REQUEST_UNKNOWN']);
    });
  });

  describe('shows what would be executed', () => {
    const action: Action = {
      type: 'delete',
      target: 'accounts',
      parameters: { account: 'ACC-1', note: 'fine\u001b[2J' },
    };

    /** A hold as the runtime opens it: the intent on the log, and a request bound to it. */
    async function hold(
      agentId: string,
      what: Action,
      shown: Action = what,
    ): Promise<{ requestId: string; digest: string }> {
      const intentId = uuidv7();
      const intent = writeEvent(EVENTS.intent, {
        id: intentId,
        source: '/test',
        subject: agentId,
        data: { intentId, agentId, action: shown },
      });
      const [position] = await world.bus.publish([{ topic: TOPICS.agentActions.name, key: agentId, ...intent }]);
      const digest = actionDigestOf(what, sha256);
      const held: HeldIntent = {
        intentId,
        decisionId: sha256(intentId),
        actionDigest: digest,
        intentDigest: intentDigestOf({ intentId, agentId, action: what }, sha256),
        chainId: intentId,
        rules: ['production-data-modification'],
        source: { topic: TOPICS.agentActions.name, partition: position?.partition ?? 0, offset: position?.offset ?? 0 },
        action: { type: what.type, target: what.target },
      };
      const requestId = `ask-${intentId}`;
      const data = {
        command: 'RequestPermission' as const,
        agentId,
        commandId: requestId,
        by: agentId,
        reason: 'held by a policy',
        needs: [{ permission: 'production_change', rule: 'production-data-modification' }],
        durationMs: 60_000,
        uses: 1,
        held,
        waitMs: 60_000,
      };
      const event = writeEvent(EVENTS.permissionCommand, { id: requestId, source: '/test', subject: agentId, data });
      await world.bus.publish([{ topic: TOPICS.permissionCommands.name, key: agentId, ...event }]);
      await untilOpen(world.bus, requestId);
      return { requestId, digest };
    }

    it('every value, none of which can steer a terminal, and the digest to approve', async () => {
      const { requestId, digest } = await hold('cleaner', action);
      const shown = await world.call(OLGA, 'requestDetail', { params: { request: requestId } });
      const body = shown.answer();
      expect(body.action).toEqual({
        status: 'shown',
        digest,
        value: action,
        lines: [
          'type = "delete"',
          'target = "accounts"',
          'parameters.account = "ACC-1"',
          'parameters.note = "fine\\u{1b}[2J"',
        ],
      });
      expect(shown.text).not.toContain('\u001b');
    });

    it('never another action than the one the approval would be bound to', async () => {
      const { requestId } = await hold('cleaner', action, { ...action, parameters: { account: 'ACC-2' } });
      const body = (await world.call(OLGA, 'requestDetail', { params: { request: requestId } })).answer();
      expect(body.action).toEqual({
        status: 'unavailable',
        because: expect.stringContaining('another intent') as unknown,
      });
    });

    it('to those who may approve it, to auditors and to administrators, and to nobody else', async () => {
      const { requestId } = await hold('cleaner', { ...action, parameters: { account: 'ACC-SECRET' } });
      const see = async (who: Who): Promise<[string | undefined, boolean]> => {
        const shown = await world.call(who, 'requestDetail', { params: { request: requestId } });
        return [shown.answer().action?.status, shown.text.includes('ACC-SECRET')];
      };
      expect(await see(NOBODY)).toEqual(['withheld', false]);
      expect(await see({ name: 'fay', roles: ['finance'] })).toEqual(['withheld', false]);
      expect(await see(OLGA)).toEqual(['shown', true]);
      expect(await see({ name: 'amy', roles: ['auditor'] })).toEqual(['shown', true]);
      expect(await see(GOVERNANCE)).toEqual(['shown', true]);
    });

    it('with each reading on record, by whom and of what, and none of those who were shown nothing', async () => {
      const { requestId } = await hold('cleaner', { ...action, parameters: { account: 'ACC-7' } });
      for (const who of [NOBODY, OLGA, { name: 'amy', roles: ['auditor'] }]) {
        await world.call(who, 'requestDetail', { params: { request: requestId } });
      }
      const readings = (await readTopic(world.bus, TOPICS.auditAccess.name)).flatMap((message) => {
        const reading = readEvent(EVENTS.recordAccess, message);
        return reading.ok && reading.event.data.event === 'HeldActionRead' ? [reading.event.data] : [];
      });
      expect(readings.filter((one) => one.requestId === requestId)).toMatchObject([
        { by: 'olga', agentId: 'cleaner' },
        { by: 'amy', agentId: 'cleaner' },
      ]);
    });

    it('with what was asked before that is the same, and what became of it', async () => {
      const same = { ...action, parameters: { account: 'ACC-8' } };
      const reject = async ({ requestId }: { requestId: string }): Promise<void> => {
        const answer = await world.call(OTTO, 'reject', {
          params: { request: requestId },
          body: { reason: 'too much' },
        });
        expect(answer.code).toBe('done');
      };
      const first = await hold('cleaner', same);
      await reject(first);
      const open = await hold('cleaner', same);
      const varied = await hold('cleaner', { ...action, parameters: { account: 'ACC-8', memo: '' } });
      const last = await hold('cleaner', same);
      const shown = await world.call(NOBODY, 'requestDetail', { params: { request: last.requestId } });
      const before = shown.answer().askedBefore;
      const askedBefore = before.filter(({ similar }) => similar !== true);
      expect(askedBefore.map(({ requestId }) => requestId)).toEqual(
        expect.arrayContaining([open.requestId, first.requestId]),
      );
      expect(askedBefore).toHaveLength(2);
      expect(askedBefore.find(({ requestId }) => requestId === first.requestId)).toMatchObject({
        ...{ status: 'rejected', by: ['otto'], why: 'too much' },
      });
      expect(askedBefore.find(({ requestId }) => requestId === open.requestId)).toMatchObject({
        status: 'open',
        by: [],
      });
      // a parameter more does not make it look new
      expect(before).toContainEqual(expect.objectContaining({ requestId: varied.requestId, similar: true }));
      const ofVaried = await world.call(NOBODY, 'requestDetail', { params: { request: varied.requestId } });
      expect(ofVaried.answer().askedBefore[0]).toMatchObject({ status: 'rejected', similar: true });
    });

    it('an approval without the digest, or with another, approves nothing', async () => {
      const { requestId } = await hold('cleaner', action);
      const params = { request: requestId };
      for (const body of [{ reason: 'blind' }, { reason: 'blind', actionDigest: sha256('other') }]) {
        expect(said(await world.call(OLGA, 'approve', { params, body }))).toEqual([
          409,
          'REMIT_PERMISSION_OTHER_ACTION',
        ]);
      }
    });

    it('several alike holds are approved together, each bound to its own action', async () => {
      const holds = [
        await hold('cleaner', { ...action, parameters: { account: 'ACC-3' } }),
        await hold('cleaner', { ...action, parameters: { account: 'ACC-4' } }),
      ];
      const requests = holds.map(({ requestId, digest }) => ({ request: requestId, actionDigest: digest }));
      const answer = await world.call(OLGA, 'approveAlike', { body: { requests, reason: 'the nightly batch' } });
      expect(answer.answer().failed).toEqual([]);
      expect(answer.answer().done).toHaveLength(2);
      const swapped = requests.map(({ request }, index) => ({
        request,
        actionDigest: requests[1 - index]?.actionDigest,
      }));
      const wrong = await world.call(OTTO, 'approveAlike', { body: { requests: swapped, reason: 'mixed up' } });
      expect(wrong.answer().failed.map(({ problem }) => problem.code)).toEqual([
        'REMIT_PERMISSION_OTHER_ACTION',
        'REMIT_PERMISSION_OTHER_ACTION',
      ]);
    });

    it('holds of different kinds are not approved together', async () => {
      const holds = [await hold('cleaner', action), await hold('clerk', { type: 'unlock', target: 'accounts' })];
      const requests = holds.map(({ requestId, digest }) => ({ request: requestId, actionDigest: digest }));
      expect(said(await world.call(OLGA, 'approveAlike', { body: { requests, reason: 'all of it' } }))).toEqual([
        422,
        'REMIT_DOOR_NOT_ALIKE',
      ]);
    });
  });

  describe('guards the charter', () => {
    it('only administrators put one in force, and a wrong one is refused with every problem and its line', async () => {
      expect(said(await world.call(SAM, 'activateCharter', { body: { text: CHARTER_TEXT } }))).toEqual([
        403,
        'REMIT_DOOR_ROLE_MISSING',
      ]);
      const wrong = await world.call(GOVERNANCE, 'activateCharter', {
        body: { text: 'charter: x\nstagee: enforce\n' },
      });
      expect(said(wrong)).toEqual([422, 'REMIT_DOOR_CHARTER_REFUSED']);
      expect(wrong.problem().problems).toEqual(expect.arrayContaining([expect.objectContaining({ line: 2 })]));
      const body = (await world.call(NOBODY, 'currentCharter')).answer();
      expect(body).toMatchObject({ name: 'door', text: CHARTER_TEXT, activatedBy: 'gwen' });
    });

    it('an activation that is sent again brings no old charter back, and its id activates no other', async () => {
      const other = CHARTER_TEXT.replace('charter: door', 'charter: other');
      const activate = (text: string, id: string): Promise<DoorAnswer> =>
        world.call(GOVERNANCE, 'activateCharter', { body: { text }, id });
      const inForce = async (): Promise<string> => (await world.call(NOBODY, 'currentCharter')).answer().name;
      expect((await activate(CHARTER_TEXT, 'k1')).status).toBe(200);
      expect((await activate(other, 'k2')).status).toBe(200);
      expect((await activate(CHARTER_TEXT, 'k1')).status).toBe(200);
      expect(await inForce()).toBe('other');
      expect(said(await activate(other, 'k1'))).toEqual([409, 'REMIT_DOOR_COMMAND_ID_REUSED']);
      expect((await activate(CHARTER_TEXT, 'k3')).status).toBe(200);
      expect(await inForce()).toBe('door');
    });
  });

  describe('is careful with what comes in and goes out', () => {
    const json = async (who: Who) => ({
      authorization: `Bearer ${await world.token(who.name, who.roles)}`,
      'content-type': 'application/json',
    });

    it('a body that is too large, no JSON, or of another type is a coded problem', async () => {
      const headers = await json(SAM);
      const path = '/v1/agents/clerk/suspension';
      const put = (body: string, changes: object = {}) =>
        world.send(path, { method: 'PUT', body, headers: { ...headers, ...changes } });
      expect(said(await put(JSON.stringify({ reason: 'x'.repeat(70_000) })))).toEqual([
        413,
        'REMIT_DOOR_BODY_TOO_LARGE',
      ]);
      expect(said(await put('{'))).toEqual([400, 'REMIT_DOOR_MALFORMED']);
      expect(said(await put('{"__proto__": {"reason": "x"}}'))).toEqual([400, 'REMIT_DOOR_MALFORMED']);
      expect(said(await put('reason', { 'content-type': 'application/xml' }))).toEqual([415, 'REMIT_DOOR_NOT_JSON']);
    });

    it('a path that is not there is a problem too', async () => {
      expect(said(await world.send('/v1/nothing', { headers: await json(SAM) }))).toEqual([
        404,
        'REMIT_DOOR_NO_SUCH_PATH',
      ]);
    });

    it('answers are kept out of every cache', async () => {
      const { headers } = await world.call(NOBODY, 'grants', clerk);
      expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual(['no-store', 'nosniff']);
    });

    it('health stays as it was, and needs no token', async () => {
      expect((await world.send('/livez')).body).toEqual({ status: 'ok' });
    });

    it('the review names who has no owner and what is held for good', async () => {
      const body = (await world.call(NOBODY, 'review')).answer();
      expect(body.findings).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'no-owner', agentId: 'cleaner' }),
          expect.objectContaining({ kind: 'standing-permission', agentId: 'clerk', permission: 'view' }),
        ]),
      );
    });
  });
});

describe('when nothing comes of an order in time', () => {
  it('the door says that it may still be done, and under which id to ask again', async () => {
    const world = await startDoorWorld({ REMIT_DOOR_WAIT_MS: '3000' });
    try {
      (await world.call(GOVERNANCE, 'activateCharter', { body: { text: CHARTER_TEXT } })).answer();
      await world.haltRuntime();
      const suspend = { params: { agent: 'clerk' }, body: { reason: 'odd' }, id: 'late-1' };
      const answer = await world.call(SAM, 'suspend', suspend);
      expect(said(answer)).toEqual([503, 'REMIT_DOOR_NOT_CONFIRMED']);
      expect(answer.problem().commandId).toBe('late-1');
      expect(answer.headers.get('retry-after')).toBe('1');
      const again = await world.call(SAM, 'suspend', suspend);
      expect(said(again)).toEqual([503, 'REMIT_DOOR_NOT_CONFIRMED']);
      const onLog = await readTopic(world.bus, TOPICS.permissionCommands.name);
      expect(onLog.filter(({ value }) => String(value).includes('late-1'))).toHaveLength(1);
      const all = await world.call(SAM, 'suspendAll', { body: { reason: 'incident' } });
      expect(all.status).toBe(207);
      expect(all.answer().done).toEqual([]);
      expect(all.answer().failed.map(({ problem }) => problem.code)).toEqual(
        expect.arrayContaining(['REMIT_DOOR_NOT_CONFIRMED']),
      );
    } finally {
      await world.close();
    }
  });
});

describe('an address that asks too often', () => {
  it('has to wait, and health does not suffer', async () => {
    const world = await startDoorWorld({ REMIT_DOOR_PER_MINUTE: '3' });
    try {
      const answers = [];
      for (let count = 0; count < 5; count += 1) answers.push(said(await world.send('/v1/charters/current')));
      expect(answers.map(([status]) => status)).toEqual([401, 401, 401, 429, 429]);
      expect(answers.at(-1)?.[1]).toBe('REMIT_DOOR_TOO_MANY_REQUESTS');
      expect((await world.send('/livez')).status).toBe(200);
    } finally {
      await world.close();
    }
  });
});

describe('a path of the door that is written in another way', () => {
  /** As it is, without what a client makes of a path. */
  function status(world: DoorWorld, path: string, headers: Record<string, string> = {}, localAddress?: string) {
    const { hostname, port } = new URL(world.url);
    return new Promise<number | undefined>((resolve, reject) => {
      const options = { hostname, port, path, headers, ...(localAddress === undefined ? {} : { localAddress }) };
      get(options, (answer) => {
        answer.resume();
        answer.on('end', () => resolve(answer.statusCode));
      }).on('error', reject);
    });
  }

  it.each(['/v%31/charters/current', '/%76%31/charters/%63urrent', '/v1/charters/c%75rrent'])(
    '%s wants a token, and counts against the rate',
    async (path) => {
      const world = await startDoorWorld({ REMIT_DOOR_PER_MINUTE: '2' });
      try {
        const answers = [];
        for (let count = 0; count < 3; count += 1) answers.push(await status(world, path));
        expect(answers).toEqual([401, 401, 429]);
        expect(await status(world, '/v1/charters/current')).toBe(429);
      } finally {
        await world.close();
      }
    },
  );

  it.each(['//v1/charters/current', '/v1//charters/current', '/V1/charters/current', '/v1/%2e/charters/current'])(
    '%s leads nowhere, with a token or without',
    async (path) => {
      const world = await startDoorWorld();
      try {
        const authorization = `Bearer ${await world.token('gwen', ['governance'])}`;
        expect([await status(world, path), await status(world, path, { authorization })]).toEqual([404, 404]);
      } finally {
        await world.close();
      }
    },
  );

  it('nor does a person request permissions more often than one may, and whatever else they do goes on', async () => {
    const world = await startDoorWorld({ REMIT_DOOR_ASKS_PER_MINUTE: '2' });
    try {
      await world.call(GOVERNANCE, 'activateCharter', { body: { text: CHARTER_TEXT } });
      const body = { permissions: ['admin_access'], durationMs: 60_000, reason: 'again and again' };
      const request = (who: Who, agent: string) => world.call(who, 'request', { params: { agent }, body });
      const answers = [
        await request(NOBODY, 'clerk'),
        await request(NOBODY, 'cleaner'),
        await request(NOBODY, 'clerk'),
      ];
      expect(answers.map(({ code }) => code)).toEqual(['done', 'done', 'REMIT_DOOR_TOO_MANY_REQUESTS']);
      expect((await request(OLGA, 'clerk')).status).toBe(200);
      expect((await world.call(NOBODY, 'requests', {})).status).toBe(200);
    } finally {
      await world.close();
    }
  });

  it('nor has a person more open than they may, and nothing of what is refused is on the log', async () => {
    const world = await startDoorWorld();
    try {
      await world.call(GOVERNANCE, 'activateCharter', { body: { text: CHARTER_TEXT } });
      const body = { permissions: ['admin_access'], durationMs: 60_000, reason: 'all of it' };
      const request = (who: Who, id: string) => world.call(who, 'request', { params: { agent: 'clerk' }, body, id });
      for (let one = 0; one < MAX_OPEN_OF_PERSON; one += 1) (await request(NOBODY, `own-${String(one)}`)).answer();
      expect(said(await request(NOBODY, 'one-too-many'))).toEqual([409, 'REMIT_PERMISSION_TOO_MANY_OPEN']);
      expect(await world.everything()).not.toContain('one-too-many');
      // what was accepted has its answer, and others have room of their own
      expect((await request(NOBODY, 'own-0')).status).toBe(200);
      expect((await request(OLGA, 'olgas')).status).toBe(200);
    } finally {
      await world.close();
    }
  });

  it('nor does a person who comes from several addresses ask more often than one may', async () => {
    const world = await startDoorWorld({ REMIT_DOOR_PER_MINUTE: '3' });
    try {
      const authorization = `Bearer ${await world.token('gwen', ['governance'])}`;
      const answers = [];
      for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4']) {
        answers.push(await status(world, '/v1/log/discrepancies', { authorization }, address));
      }
      expect(answers).toEqual([200, 200, 200, 429]);
      const other = { authorization: `Bearer ${await world.token('olga', ['operations'])}` };
      expect(await status(world, '/v1/log/discrepancies', other, '127.0.0.5')).toBe(200);
    } finally {
      await world.close();
    }
  });
});

async function untilOpen(bus: MemoryBus, requestId: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    void bus
      .follow({ topics: [TOPICS.permissionEvents.name], from: 'start' }, (messages) => {
        for (const message of messages) {
          const reading = readEvent(EVENTS.permissionEvent, message);
          if (!reading.ok || reading.event.data.commandId !== requestId) continue;
          if (reading.event.data.event === 'PermissionRequested') resolve();
          else reject(new Error(JSON.stringify(reading.event.data)));
        }
      })
      .catch(reject);
  });
}
