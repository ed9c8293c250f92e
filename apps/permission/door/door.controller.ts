import { Body, Controller, HttpStatus, Inject, Param, Query, Res, UseGuards, UsePipes } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import {
  DOOR,
  type AgentAuthorityView,
  type CharterActivatedAnswer,
  type CharterView,
  type DiscrepancyView,
  type DoorRoute,
  type ManyOrdersAnswer,
  type OrderAnswer,
  type RequestDetail,
  type RequestView,
  type ReviewReport,
} from '#contracts';
import { Caller, CommandId, fitting, Through, TokenGuard } from './door-requests.js';
import { DOOR_SERVICE, type DoorService } from './door-service.js';
import type { Person } from './tokens.js';

/** What a route's schema makes of what was sent. */
type Sent<Route extends DoorRoute, Part extends 'params' | 'query' | 'body'> = z.output<NonNullable<Route[Part]>>;
type Routes = typeof DOOR;

/** The one door for people: who they are is checked, what they send fits, everything else is {@link DoorService}'s. */
@Controller('v1')
@UseGuards(TokenGuard)
@UsePipes(fitting)
export class DoorController {
  constructor(@Inject(DOOR_SERVICE) private readonly door: DoorService) {}

  @Through(DOOR.activateCharter)
  activateCharter(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Body({ schema: DOOR.activateCharter.body }) { text }: Sent<Routes['activateCharter'], 'body'>,
  ): Promise<CharterActivatedAnswer> {
    return this.door.activateCharter(person, commandId, text);
  }

  @Through(DOOR.currentCharter)
  currentCharter(): Promise<CharterView> {
    return this.door.currentCharter();
  }

  @Through(DOOR.grants)
  grants(
    @Param({ schema: DOOR.grants.params }) { agent }: Sent<Routes['grants'], 'params'>,
    @Query({ schema: DOOR.grants.query }) { at }: Sent<Routes['grants'], 'query'>,
  ): Promise<AgentAuthorityView> {
    return this.door.grants(agent, at === undefined ? undefined : Date.parse(at));
  }

  @Through(DOOR.grant)
  grant(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.grant.params }) { agent }: Sent<Routes['grant'], 'params'>,
    @Body({ schema: DOOR.grant.body }) asked: Sent<Routes['grant'], 'body'>,
  ): Promise<OrderAnswer> {
    return this.door.grant(person, { command: 'GrantPermission', agentId: agent, commandId, ...asked });
  }

  @Through(DOOR.breakGlass)
  breakGlass(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.breakGlass.params }) { agent }: Sent<Routes['breakGlass'], 'params'>,
    @Body({ schema: DOOR.breakGlass.body }) asked: Sent<Routes['breakGlass'], 'body'>,
  ): Promise<OrderAnswer> {
    return this.door.order(person, {
      command: 'BreakGlass',
      agentId: agent,
      commandId,
      roles: [...person.roles],
      ...asked,
    });
  }

  @Through(DOOR.closeReview)
  closeReview(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.closeReview.params }) { agent, grant }: Sent<Routes['closeReview'], 'params'>,
    @Body({ schema: DOOR.closeReview.body }) { reason }: Sent<Routes['closeReview'], 'body'>,
  ): Promise<OrderAnswer> {
    const roles = [...person.roles];
    return this.door.order(person, {
      command: 'CloseReview',
      agentId: agent,
      commandId,
      roles,
      grantId: grant,
      reason,
    });
  }

  @Through(DOOR.revoke)
  revoke(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.revoke.params }) { agent, grant }: Sent<Routes['revoke'], 'params'>,
    @Query({ schema: DOOR.revoke.query }) { reason }: Sent<Routes['revoke'], 'query'>,
  ): Promise<OrderAnswer> {
    return this.door.takeBack(person, { command: 'RevokeGrant', agentId: agent, commandId, grantId: grant, reason });
  }

  @Through(DOOR.revokeAll)
  revokeAll(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.revokeAll.params }) { agent }: Sent<Routes['revokeAll'], 'params'>,
    @Query({ schema: DOOR.revokeAll.query }) { reason }: Sent<Routes['revokeAll'], 'query'>,
  ): Promise<OrderAnswer> {
    return this.door.takeBack(person, { command: 'RevokeAllGrants', agentId: agent, commandId, reason });
  }

  @Through(DOOR.suspend)
  suspend(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.suspend.params }) { agent }: Sent<Routes['suspend'], 'params'>,
    @Body({ schema: DOOR.suspend.body }) { reason }: Sent<Routes['suspend'], 'body'>,
  ): Promise<OrderAnswer> {
    return this.door.takeBack(person, { command: 'SuspendAgent', agentId: agent, commandId, reason });
  }

  @Through(DOOR.suspendAll)
  async suspendAll(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Body({ schema: DOOR.suspendAll.body }) { reason }: Sent<Routes['suspendAll'], 'body'>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ManyOrdersAnswer> {
    return forMany(reply, await this.door.suspendAll(person, commandId, reason));
  }

  @Through(DOOR.reinstate)
  reinstate(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.reinstate.params }) { agent }: Sent<Routes['reinstate'], 'params'>,
    @Query({ schema: DOOR.reinstate.query }) { reason }: Sent<Routes['reinstate'], 'query'>,
  ): Promise<OrderAnswer> {
    return this.door.reinstate(person, { command: 'ReinstateAgent', agentId: agent, commandId, reason });
  }

  @Through(DOOR.request)
  request(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.request.params }) { agent }: Sent<Routes['request'], 'params'>,
    @Body({ schema: DOOR.request.body }) { permissions, ...asked }: Sent<Routes['request'], 'body'>,
  ): Promise<OrderAnswer> {
    const needs = permissions.map((permission) => ({ permission }));
    return this.door.order(person, { command: 'RequestPermission', agentId: agent, commandId, needs, ...asked });
  }

  @Through(DOOR.requests)
  requests(
    @Query({ schema: DOOR.requests.query }) { agent, status }: Sent<Routes['requests'], 'query'>,
  ): Promise<{ at: string; requests: RequestView[] }> {
    return this.door.requests(agent, status);
  }

  @Through(DOOR.requestDetail)
  requestDetail(
    @Caller() person: Person,
    @Param({ schema: DOOR.requestDetail.params }) { request }: Sent<Routes['requestDetail'], 'params'>,
    @Query({ schema: DOOR.requestDetail.query }) { agent }: Sent<Routes['requestDetail'], 'query'>,
  ): Promise<RequestDetail> {
    return this.door.requestDetail(person, { request, agent });
  }

  @Through(DOOR.approve)
  approve(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.approve.params }) { request }: Sent<Routes['approve'], 'params'>,
    @Body({ schema: DOOR.approve.body }) { agent, actionDigest, reason }: Sent<Routes['approve'], 'body'>,
  ): Promise<OrderAnswer> {
    return this.door.approve(person, commandId, { request, agent, actionDigest }, reason);
  }

  @Through(DOOR.reject)
  reject(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.reject.params }) { request }: Sent<Routes['reject'], 'params'>,
    @Body({ schema: DOOR.reject.body }) { agent, reason }: Sent<Routes['reject'], 'body'>,
  ): Promise<OrderAnswer> {
    return this.door.reject(person, commandId, { request, agent }, reason);
  }

  @Through(DOOR.cancel)
  cancel(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Param({ schema: DOOR.cancel.params }) { request }: Sent<Routes['cancel'], 'params'>,
    @Body({ schema: DOOR.cancel.body }) { agent, reason }: Sent<Routes['cancel'], 'body'>,
  ): Promise<OrderAnswer> {
    return this.door.cancel(person, commandId, { request, agent }, reason);
  }

  @Through(DOOR.approveAlike)
  async approveAlike(
    @Caller() person: Person,
    @CommandId() commandId: string,
    @Body({ schema: DOOR.approveAlike.body }) { requests, reason }: Sent<Routes['approveAlike'], 'body'>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ManyOrdersAnswer> {
    return forMany(reply, await this.door.approveAlike(person, commandId, requests, reason));
  }

  @Through(DOOR.discrepancies)
  discrepancies(@Query({ schema: DOOR.discrepancies.query }) { status }: Sent<Routes['discrepancies'], 'query'>): {
    discrepancies: DiscrepancyView[];
  } {
    return this.door.discrepancies(status);
  }

  @Through(DOOR.acknowledgeDiscrepancy)
  acknowledgeDiscrepancy(
    @Caller() person: Person,
    @Param({ schema: DOOR.acknowledgeDiscrepancy.params })
    { discrepancy }: Sent<Routes['acknowledgeDiscrepancy'], 'params'>,
    @Body({ schema: DOOR.acknowledgeDiscrepancy.body }) { reason }: Sent<Routes['acknowledgeDiscrepancy'], 'body'>,
  ): Promise<DiscrepancyView> {
    return this.door.acknowledgeDiscrepancy(person, discrepancy, reason);
  }

  @Through(DOOR.review)
  review(): Promise<ReviewReport> {
    return this.door.review();
  }
}

/** "OK" is said only where everything has been done. */
function forMany(reply: FastifyReply, answer: ManyOrdersAnswer): ManyOrdersAnswer {
  if (answer.failed.length > 0) reply.status(HttpStatus.MULTI_STATUS);
  return answer;
}
