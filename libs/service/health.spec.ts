import { describe, expect, it } from '@jest/globals';
import { ServiceUnavailableException } from '@nestjs/common';
import type { Standstill } from '#bus';
import { HealthController, MAX_STANDSTILL_MS, readersCheck } from './health.js';

describe('/livez', () => {
  function controllerOf(...standstills: Standstill[]): HealthController {
    return new HealthController([], [readersCheck({ standstills: () => standstills })]);
  }

  const reading: Standstill = { reader: { group: 'remit.audit', topics: ['agent.actions'] }, ms: 0 };

  it('is ok while every reader reads, and while one that stood still is being made anew', () => {
    expect(controllerOf(reading, { ...reading, ms: MAX_STANDSTILL_MS }).live()).toEqual({ status: 'ok' });
  });

  it('turns red when a reader has stood still for more than two minutes, and says which', () => {
    const stuck = { reader: { group: 'remit.boundary', topics: ['agent.actions'] }, ms: MAX_STANDSTILL_MS + 1000 };
    const answer = answerOf(() => controllerOf(reading, stuck).live());
    expect(answer).toEqual({
      status: 'not live',
      checks: { readers: 'remit.boundary has not read agent.actions for 121 s' },
    });
  });
});

function answerOf(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    if (error instanceof ServiceUnavailableException) return error.getResponse();
    throw error;
  }
}
