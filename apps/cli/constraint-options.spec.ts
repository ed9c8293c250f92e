import { describe, expect, it } from '@jest/globals';
import {
  constraintsOf,
  constraintText,
  destination,
  destinationJson,
  parameter,
  parameterJson,
} from './constraint-options.js';

/** What the options of one command line bind a grant to. */
function boundBy(given: {
  parameters?: string[];
  json?: string[];
  destinations?: string[];
  destinationsJson?: string[];
}) {
  const { parameters = [], json = [], destinations = [], destinationsJson = [] } = given;
  return constraintsOf({
    parameter: parameters.reduce<ReturnType<typeof parameter>>((before, text) => parameter(text, before), []),
    parameterJson: json.reduce<ReturnType<typeof parameter>>((before, text) => parameterJson(text, before), []),
    destination: destinations.reduce<ReturnType<typeof destination>>((before, text) => destination(text, before), []),
    destinationJson: destinationsJson.reduce<ReturnType<typeof destination>>(
      (before, text) => destinationJson(text, before),
      [],
    ),
  });
}

describe('a constraint on the command line', () => {
  it('counts as a number and as a text when it reads as both, because a shell has no types', () => {
    expect(boundBy({ parameters: ['file_id=11', 'done=true'] })).toEqual({
      parameters: { file_id: { oneOf: [11, '11'] }, done: { oneOf: [true, 'true'] } },
    });
  });

  it.each(['007', '1.50', '12345678901234567890', '1e3', '-0', '11 ', 'NaN'])(
    'is a text where a number would be another spelling: %s',
    (text) => {
      expect(boundBy({ parameters: [`file_id=${text}`] })).toEqual({ parameters: { file_id: text } });
    },
  );

  it('has the type that is said as JSON', () => {
    expect(boundBy({ json: ['file_id=11', 'name="11"', 'amount={"max":500}'] })).toEqual({
      parameters: { file_id: 11, name: '11', amount: { max: 500 } },
    });
  });

  it('adds values of one parameter up, and destinations', () => {
    expect(
      boundBy({
        parameters: ['to=jane@friend.example', 'to=a=b'],
        json: ['to={"list":"trustedContacts"}', 'to={"oneOf":[1,2]}'],
        destinations: ['warehouse'],
        destinationsJson: ['{"host":"*.partner.example"}'],
      }),
    ).toEqual({
      parameters: { to: { oneOf: ['jane@friend.example', 'a=b', { list: 'trustedContacts' }, 1, 2] } },
      destination: { oneOf: ['warehouse', { host: '*.partner.example' }] },
    });
  });

  it.each([
    ['is no JSON', 'to=jane'],
    ['must be a text', 'to={"hots":"partner.example"}'],
    ['path=json', 'to'],
  ])('says what is wrong with it: %s', (problem, text) => {
    expect(() => parameterJson(text)).toThrow(problem);
  });

  it('is bound to nothing when nothing is said', () => {
    expect(boundBy({})).toBeUndefined();
  });

  it('is shown with its type', () => {
    const bound = boundBy({
      parameters: ['file_id=11', 'to=jane@friend.example', 'command=git *'],
      json: ['amount={"min":1,"max":500}', 'path={"pathPrefix":"/srv/reports"}', 'cc={"list":"trustedContacts"}'],
      destinationsJson: ['{"host":"partner.example"}'],
    });
    expect(constraintText({ ...bound, chainId: 'c-7' })).toBe(
      'chainId=c-7; destination is the host partner.example; file_id is the number 11 or the text "11"; ' +
        'to is the address jane@friend.example; command is a text like "git *"; amount is a number from 1 to 500; ' +
        'path is a path in "/srv/reports"; cc is an entry of lists.trustedContacts',
    );
    expect(constraintText({})).toBe('nothing');
  });
});
