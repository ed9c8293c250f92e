const coded = (code: string): Error => Object.assign(new Error('x'), { code });

const thrown = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

/** What shows a fault of the program, each with its name. */
export const PROGRAM_FAULTS: readonly (readonly [string, unknown])[] = [
  ['a property of nothing', thrown(() => (undefined as unknown as { x: number }).x)],
  ['an invalid time', thrown(() => new Date(NaN).toISOString())],
  ['what is no JSON', thrown(() => JSON.parse('{') as unknown)],
  ['a wrong argument to Node', thrown(() => Buffer.from(1 as unknown as string))],
  ['what is no error', 'a text'],
];

/** What a connection to PostgreSQL brings about, each with its name. */
export const CONNECTION_FAILURES: readonly (readonly [string, unknown])[] = [
  ['refused', coded('ECONNREFUSED')],
  ['a name that is not found', coded('EAI_AGAIN')],
  ['cut', new Error('Connection terminated unexpectedly')],
  ['cut in TLS', coded('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC')],
  ['no free connection', new Error('timeout exceeded when trying to connect')],
  ['the server starts up', coded('57P03')],
  ['refused on every address of a host', Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })],
];
