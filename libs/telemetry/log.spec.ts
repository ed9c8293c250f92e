import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Log, type LogEntry, type LogLevel } from './log.js';
import { LOG_FIELDS, scrub } from './log-redaction.js';

type Line = Record<string, unknown> & { error?: Record<string, string> };

function written(entry: LogEntry, options: { level?: LogLevel; at?: LogLevel; secrets?: string[] } = {}): string[] {
  const lines: string[] = [];
  const { level = 'info', at = 'warn', secrets = [] } = options;
  new Log({ service: 'remit-policy', level, secrets, destination: { write: (line) => lines.push(line) } }).write(
    at,
    entry,
  );
  return lines;
}

function lineOf(...how: Parameters<typeof written>): Line {
  const [line = 'null', ...others] = written(...how);
  expect(others).toEqual([]);
  expect(line.endsWith('\n') && !line.slice(0, -1).includes('\n')).toBe(true);
  return JSON.parse(line) as Line;
}

describe('a line of the log', () => {
  it('says when, how serious, who, which part, what and with which code', () => {
    const line = lineOf({ message: 'the record is behind', scope: 'gaps', code: 'REMIT_RECORD_BEHIND' });
    expect(line).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      service: 'remit-policy',
      scope: 'gaps',
      code: 'REMIT_RECORD_BEHIND',
      msg: 'the record is behind',
    });
  });

  it('takes the code from the error, or from the head of the message', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:9092'), { code: 'ECONNREFUSED' });
    expect(lineOf({ message: 'no broker', error: refused })['code']).toBe('ECONNREFUSED');
    expect(lineOf({ message: 'REMIT_WEBHOOK_GIVEN_UP: not delivered' })['code']).toBe('REMIT_WEBHOOK_GIVEN_UP');
    expect(lineOf({ message: 'plain' })).not.toHaveProperty('code');
  });

  it('shows the identifiers that lead on, under the names that spans have', () => {
    const details = { agentId: 'cost-monitor', intentId: 'i-1', chainId: 'incident 4711', rule: 'payment-limit' };
    expect(lineOf({ message: 'judged', details: { ...details, partition: 3 } })).toMatchObject({
      'agent.id': 'cost-monitor',
      'remit.intent.id': 'i-1',
      'remit.chain.id': 'incident 4711',
      'remit.rule': 'payment-limit',
      'messaging.destination.partition.id': 3,
    });
  });

  it('tells an error by type, code and message; its stack only while debugging, or where it is asked for', () => {
    const error = Object.assign(new TypeError('no such topic'), { code: 'REMIT_BUS_TOPIC_MISSING' });
    const told = { type: 'TypeError', code: 'REMIT_BUS_TOPIC_MISSING', message: 'no such topic' };
    expect(lineOf({ message: 'failed', error }).error).toEqual(told);
    const debugged = lineOf({ message: 'failed', error }, { level: 'debug' }).error;
    expect(debugged).toMatchObject(told);
    expect(debugged?.['stack']).toContain('log.spec.ts');
    expect(lineOf({ message: 'failed', error, showsStack: true }).error?.['stack']).toContain('log.spec.ts');
  });

  it('keeps the stack out of the message when somebody logs one as a text', () => {
    const message = new RangeError('too far').stack ?? '';
    expect(lineOf({ message })).toMatchObject({ msg: 'RangeError: too far' });
    expect(lineOf({ message })).not.toHaveProperty('stack');
    expect(lineOf({ message }, { level: 'debug' })['stack']).toContain('log.spec.ts');
  });

  it('is written even of an error that cannot be read', () => {
    const hostile = Object.defineProperty(new Error('x'), 'message', {
      get: () => {
        throw new Error('no');
      },
    });
    expect(lineOf({ message: 'failed', error: hostile })['code']).toBe('REMIT_LOG_ENTRY_UNREADABLE');
  });

  it('is not built at all while its level is off', () => {
    const untouchable = new Proxy({} as LogEntry, {
      get: (_, name) => {
        throw new Error(`${String(name)} was looked at`);
      },
    });
    expect(written(untouchable, { level: 'info', at: 'debug' })).toEqual([]);
    expect(written({ message: 'x' }, { level: 'debug', at: 'debug' })).toHaveLength(1);
  });
});

describe('a line written while a span is active', () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  afterAll(() => {
    context.disable();
  });

  it('carries its ids, so that the log leads to the trace', () => {
    const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
    const line = context.with(trace.setSpanContext(ROOT_CONTEXT, span), () => lineOf({ message: 'inside' }));
    expect(line).toMatchObject({ trace_id: span.traceId, span_id: span.spanId });
    expect(lineOf({ message: 'outside' })).not.toHaveProperty('trace_id');
  });
});

/** A secret that no line may contain; quotes, brackets and blanks in it must not help it out. */
const secret = fc
  .tuple(
    fc.stringMatching(/^[A-Za-z0-9]{10,20}$/),
    fc.constantFrom('', ' ', '"', "'", '}', ']', '\\', '@', '\n', ',', '&'),
  )
  .map(([text, between]) => ({ text: `${between}${text}${between}x`, core: text }));

type Placement = (text: string) => Partial<LogEntry>;

const named = (name: string): Placement[] => [
  (text) => ({ message: `failed with ${name}=${text}` }),
  (text) => ({ message: `failed with ${name}: ${text} at 12:00` }),
  (text) => ({ message: `failed with "${name}": "${text}"` }),
  (text) => ({ error: new Error(`${name}: ${text}`) }),
  (text) => ({ error: new AggregateError([new Error(`bad ${name} = '${text}'`)]) }),
  (text) => ({ details: { [name]: text } }),
  (text) => ({ details: { agentId: { [name]: [text] } } }),
];

const parameters = (text: string): object => ({ type: 'transfer', parameters: { note: text, amount: 3 } });

const PLACEMENTS: Placement[] = [
  ...['password', 'parameters', 'value', 'token', 'Authorization', 'client_secret', 'apiKey', 'Cookie'].flatMap(named),
  (text) => ({ message: `cannot judge ${JSON.stringify(parameters(text))}` }),
  (text) => ({ message: `cannot judge ${JSON.stringify({ note: text })} of its parameters` }),
  (text) => ({ message: `twice: ${JSON.stringify(JSON.stringify({ note: text }))}` }),
  (text) => ({ message: `list ${JSON.stringify([text])}` }),
  (text) => ({ message: `shown { note: '${text}' }` }),
  (text) => ({
    error: Object.assign(new Error('refused'), { parameters: text, detail: text, cause: new Error(text) }),
  }),
  (text) => ({ error: { message: text, parameters: text } }),
  (text) => ({ error: new Error(`Failing row contains (1, ${text})`) }),
  (text) => ({ error: new Error(`invalid input syntax for type uuid: "${text}"`) }),
  (text) => ({ error: parseErrorOf(`${text}}`) }),
  (text) => ({ details: { action: parameters(text), intent: { action: parameters(text) } } }),
  (text) => ({ details: { bytes: Buffer.from(text), headers: { authorization: `Bearer ${text}` }, [text]: 1 } }),
  (text) => ({ details: { topic: new String(text), agentId: () => text, rule: Symbol(text) } }),
  (text) => ({ message: `dev key {"crv":"Ed25519","d":"${text}"}` }),
  (text) => ({ message: `-----BEGIN PRIVATE KEY-----\n${text}\n-----END PRIVATE KEY-----` }),
];

function parseErrorOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return error;
  }
}

/** Shapes that end where their own alphabet ends. */
const SHAPED: Placement[] = [
  (text) => ({ message: `cannot reach postgres://remit:${text}@db.example:5432/remit` }),
  (text) => ({ error: new Error(`cannot reach "postgres://remit:p@${text}/#?@db.example/remit", refused`) }),
  (text) => ({ message: `signed with whsec_${text}`, scope: `whsec_${text}` }),
  (text) => ({ message: `token eyJhbGciOi.${text}.${text} is refused`, details: { agentId: `eyJhbGciOi.${text}` } }),
  (text) => ({ message: `sent Bearer ${text} to it` }),
];

describe('no line contains', () => {
  it('a secret or a parameter, wherever it is put', () => {
    fc.assert(
      fc.property(secret, fc.constantFrom(...PLACEMENTS), fc.boolean(), ({ text, core }, place, isDebug) => {
        const lines = written({ message: 'something happened', ...place(text) }, { level: isDebug ? 'debug' : 'info' });
        expect(lines).toHaveLength(1);
        expect(lines.join('')).not.toContain(core);
      }),
      { numRuns: 1500 },
    );
  });

  it('a credential that can be told by its shape', () => {
    const word = fc.stringMatching(/^[A-Za-z0-9_-]{10,30}$/);
    fc.assert(
      fc.property(word, fc.constantFrom(...SHAPED), (text, place) => {
        expect(written({ message: 'something happened', ...place(text) }).join('')).not.toContain(text);
      }),
      { numRuns: 500 },
    );
  });

  it('a secret of the configuration, anywhere at all', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{8,30}$/), fc.string(), (password, around) => {
        const entry = { message: `${around}${password}${around}`, details: { agentId: password }, scope: password };
        const line = lineOf({ ...entry, error: new Error(password) }, { secrets: [password] });
        for (const text of [line['msg'], line['agent.id'], line['scope'], line.error?.['message']]) {
          expect(text).not.toContain(password);
        }
      }),
    );
  });

  it('a detail that the table does not name: its name may be an agent’s, so only their number is told', () => {
    expect(lineOf({ message: 'm', details: { note: 'x', amount: 3, topic: 'agent.actions' } })).toMatchObject({
      'messaging.destination.name': 'agent.actions',
      redacted: 2,
    });
    expect([...LOG_FIELDS.keys()].filter((name) => /param|value|body|secret|token/i.test(name))).toEqual([]);
  });
});

describe('what is readable stays so', () => {
  it.each([
    'judges; health on http://127.0.0.1:8080/readyz',
    'agent.actions/3 waits 200 ms, then the same messages come again: the request timed out',
    'gaps in the record: {"intent-without-decision":1,"outcome-differs":0}',
    'REMIT_DOOR_TOKEN_EXPIRED: log in again with `remit login`',
    'REMIT_CONFIG_INVALID: DATABASE_URL must be postgres://user:password@host:port/database',
    'Mapped {/v1/grants/:agentId, POST} route',
    'the action 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 of agent ledger-7',
    'a connection to PostgreSQL was lost: terminating connection due to administrator command',
  ])('%s', (text) => {
    expect(scrub(text)).toBe(text);
  });
});

it('a text made to be slow to read is read all the same: its time grows as its length does', () => {
  const hostile = ['password', '://', 'eyJ', '{', '{"', '{"a":1', 'Bearer ', '\n    at ', '@', 'REMIT_A', "d'"];
  for (const piece of hostile) {
    const text = piece.repeat(200_000 / piece.length);
    const [line = ''] = written({ message: text, error: new Error(text) }, { level: 'debug' });
    expect(line.length).toBeLessThan(20_000);
  }
  // read in quadratic time, one of them alone takes longer
});
