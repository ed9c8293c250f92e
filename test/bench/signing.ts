/** What a signature costs each message, by the size of the batch that shares it, beside writing and reading it unsigned. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EVENTS, readEvent, TOPICS, writeEvent } from '#contracts';
import {
  createSigningKey,
  MessageVerifier,
  readSigningKey,
  SIGNATURE_HEADER,
  signMessages,
  TrustedKeys,
} from '#signing';
import { type Figure, figure, median } from './figure.js';

const ROUNDS = 21;
const MESSAGES_PER_ROUND = 1024;
const BATCHES = [1, 16, 256] as const;

/** As large as a decision, about 1.5 kB. */
const COMMAND = {
  command: 'SuspendAgent',
  agentId: 'cost-monitor',
  commandId: 'bench',
  by: 'olga',
  reason: 'because '.repeat(120).trim(),
} as const;

export function measureSigning(): Figure[] {
  const folder = mkdtempSync(join(tmpdir(), 'remit-bench-'));
  try {
    const files = { keyFile: join(folder, 'key.pem'), trustedKeysFile: join(folder, 'trusted.json') };
    createSigningKey({ service: 'permission', ...files });
    return measure(readSigningKey(files.keyFile), files.trustedKeysFile);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measure(key: ReturnType<typeof readSigningKey>, trustedKeysFile: string): Figure[] {
  const topic = TOPICS.permissionCommands.name;
  const written = writeEvent(EVENTS.permissionCommand, {
    id: 'b',
    source: '/remit/bench',
    subject: 'a',
    data: COMMAND,
  });
  const bytes = {
    key: Buffer.from(COMMAND.agentId),
    value: Buffer.from(written.value),
    headers: { 'content-type': Buffer.from(written.headers['content-type']) },
  };
  const rounds = {
    unsigned: [] as number[],
    signing: new Map<number, number[]>(),
    verifying: new Map<number, number[]>(),
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    rounds.unsigned.push(
      microsecondsEach(() => {
        for (let i = 0; i < MESSAGES_PER_ROUND; i += 1) {
          writeEvent(EVENTS.permissionCommand, { id: 'b', source: '/remit/bench', subject: 'a', data: COMMAND });
          if (!readEvent(EVENTS.permissionCommand, bytes).ok) throw new Error('the message cannot be read');
        }
      }),
    );
    for (const size of BATCHES) {
      // no two alike, or one signature would do for all of them
      const contents = Array.from({ length: MESSAGES_PER_ROUND }, (_, index) =>
        Buffer.from(`${written.value} ${String(index)}`),
      );
      const signatures: Buffer[] = [];
      add(
        rounds.signing,
        size,
        microsecondsEach(() => {
          for (let at = 0; at < MESSAGES_PER_ROUND; at += size) {
            const batch = contents.slice(at, at + size).map((value) => ({ topic, key: COMMAND.agentId, value }));
            signatures.push(...signMessages(batch, key));
          }
        }),
      );
      const verifier = new MessageVerifier(new TrustedKeys(trustedKeysFile));
      add(
        rounds.verifying,
        size,
        microsecondsEach(() => {
          contents.forEach((value, index) => {
            const headers = { ...bytes.headers, [SIGNATURE_HEADER]: signatures[index] as Buffer };
            const verification = verifier.verify({ ...bytes, value, topic, appendTime: 0, headers });
            if (!verification.ok) throw new Error('the signature is not accepted');
          });
        }),
      );
    }
  }
  const baseline = median(rounds.unsigned);
  const figures = (what: string, by: Map<number, number[]>): Figure[] =>
    [...by].map(([size, values]) =>
      figure(
        `${what}, ${size === 1 ? 'alone' : `batches of ${String(size)}`}`,
        median(values),
        'µs',
        'unsigned, written and read',
        baseline,
      ),
    );
  return [...figures('signing', rounds.signing), ...figures('verifying', rounds.verifying)];
}

function microsecondsEach(work: () => void): number {
  const began = performance.now();
  work();
  return ((performance.now() - began) * 1000) / MESSAGES_PER_ROUND;
}

function add(values: Map<number, number[]>, size: number, value: number): void {
  const known = values.get(size);
  if (known === undefined) values.set(size, [value]);
  else known.push(value);
}
