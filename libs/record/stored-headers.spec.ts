import { describe, expect, it } from '@jest/globals';
import { headersFromText, headersToText } from './stored-headers.js';

describe('Headers as they are stored', () => {
  it('come back byte for byte, a repeated name with all of its values in order', () => {
    const headers = {
      traceparent: Buffer.from('00-abc'),
      twice: [Buffer.from([0xff, 0]), Buffer.from('')],
      ['__proto__x']: Buffer.from('x'),
    };
    expect(headersFromText(headersToText(headers))).toEqual(headers);
  });

  it.each(['{}', '["name"]', '[["name"]]', '[["name",1]]', '[["name","eA==","more"]]', 'null', 'no JSON'])(
    'are refused when nobody can have stored them: %s',
    (text) => {
      expect(() => headersFromText(text)).toThrow();
    },
  );
});
