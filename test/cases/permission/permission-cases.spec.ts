import { describe, expect, it } from '@jest/globals';
import { authorises, authorityDecider, permissionEventSchema } from '#domain';
import { specificationOf } from '#testing';
import { loadPermissionCases } from './permission-cases.js';

const authority = specificationOf(authorityDecider);

describe.each(loadPermissionCases(import.meta.dirname))('$about ($file)', ({ cases }) => {
  it.each(cases)('$name', ({ given, when, ask }) => {
    const before = authority.given(...given);
    expect(before.state.version).toBe(given.length);
    if (when !== undefined) {
      const came = before.when(when.command);
      came.then(...when.then);
      // Whatever comes can be stored, and follows on what was there.
      expect(came.events.map((event) => permissionEventSchema.parse(event))).toEqual(came.events);
      expect(came.state.version).toBe(given.length + came.events.length);
    }
    if (ask !== undefined) {
      const { granted_by: grantId, why, constraint, ...how } = ask.answer;
      const answer = authorises(before.state, ask.question);
      expect(answer).toMatchObject(grantId === undefined ? { authorised: false, why } : { authorised: true, grantId });
      if (constraint !== undefined)
        expect(answer.considered).toEqual([expect.objectContaining({ constraint, ...how })]);
    }
  });
});
