import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import {
  checkpointSchema,
  inertText,
  proofDocumentSchema,
  verifyProofs,
  placeName,
  type Checkpoint,
  type RecordFault,
  type RecordReport,
  type Trust,
} from '#domain';
import { parsePublicKey, proofCrypto, publicKeyPem, verifyPack, type PackReport } from '#record';
import { CommandFailure, fail } from './command-failure.js';
import { textOf } from './input-file.js';
import { withCheckpoints, withProvenRecord } from './open-record.js';
import { printJson, tableOf } from './printing.js';

interface VerifyOptions {
  readonly export?: string;
  readonly proof?: string;
  readonly key?: string;
  readonly checkpoint?: string;
  readonly json?: boolean;
}

/** `remit audit verify`, `prove`, `checkpoint`, `public-key` and `rotate-key`. */
export function addRecordProofCommands(audit: Command): void {
  audit
    .command('verify')
    .summary('Has anyone touched the record?')
    .description(
      'Has anyone touched the record? Finds and locates whatever was altered, deleted, put in or moved before the last ' +
        'checkpoint. With --export or --proof it needs neither database nor broker, reads no record, and so tells ' +
        'nobody. Exits with 1 if anything is wrong; what no checkpoint covers is not wrong, and said to be unproven.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  remit audit verify --key remit-record.pem --checkpoint kept-2026-11-24.json\n' +
        '  remit audit verify --export evidence/ --key remit-record.pem\n  remit audit verify --proof proof.json --key remit-record.pem',
    )
    .option('--export <folder>', 'verify an export instead of the database')
    .option('--proof <file>', 'verify what `remit audit prove` printed')
    .option('--key <file>', 'the public key you were given (PEM); offline it must be named')
    .option('--checkpoint <file>', 'checkpoints that you kept: then its key’s holder cannot have rewritten history')
    .option('--json', 'the report as one JSON object')
    .action(verify);

  audit
    .command('prove')
    .description('Print a proof that an event is in the record, which `remit audit verify --proof` accepts on its own.')
    .summary('A proof that an event is in the record.')
    .addHelpText('after', '\nExample:\n  remit audit prove 019ab5a0-1111-7abc-8def-0123456789ab > proof.json')
    .argument('<event-id>', 'CloudEvents id of the event, or topic/partition/offset')
    .action(prove);

  audit
    .command('checkpoint')
    .description(
      'Sign everything that is stored now, and print the checkpoint: keep it where nobody else can reach it.',
    )
    .option('--out <file>', 'write it there instead')
    .action(async (options: { out?: string }) => {
      const checkpoint = await withCheckpoints((checkpoints) => checkpoints.signNow({ now: Date.now() }));
      await printOrWrite(`${JSON.stringify(checkpoint)}\n`, options.out);
    });

  audit
    .command('public-key')
    .description('Print the key that verifies the record. Give it to your auditors when the record begins.')
    .option('--out <file>', 'write it there instead')
    .action(async (options: { out?: string }) => {
      const key = await withCheckpoints((checkpoints) => checkpoints.firstPublicKey());
      await printOrWrite(publicKeyPem(key), options.out);
    });

  audit
    .command('rotate-key')
    .description(
      'Make another signing key. The checkpoint that announces it is signed by the one before: auditors go on with the ' +
        'key they have.',
    )
    .action(async () => {
      const { body } = await withCheckpoints((checkpoints) => checkpoints.rotateKey(Date.now()));
      const { epoch, nextKey } = body;
      process.stdout.write(`Checkpoint ${String(epoch)} announces the key ${String(nextKey)}; it signs from now on.\n`);
    });
}

async function printOrWrite(text: string, file: string | undefined): Promise<void> {
  if (file === undefined) process.stdout.write(text);
  else await writeFile(file, text);
}

async function verify(options: VerifyOptions): Promise<void> {
  if (options.export !== undefined && options.proof !== undefined) fail('REMIT_CLI_OPTIONS: give --export or --proof');
  const isOffline = options.export !== undefined || options.proof !== undefined;
  if (isOffline && options.key === undefined) {
    fail('REMIT_CLI_OPTIONS: --key is needed: without a key that you were given, anybody could have signed it');
  }
  const publicKey = options.key === undefined ? undefined : parsePublicKey(await textOf(options.key));
  const kept = options.checkpoint === undefined ? [] : await checkpointsIn(options.checkpoint);
  if (publicKey !== undefined && options.export !== undefined) {
    const report = await verifyPack(options.export, { publicKey, kept });
    print(report, options, [
      report.manifest.holds === 'everything'
        ? 'The export claims to hold everything: what is missing from it was looked for.'
        : 'The export is a selection: each entry is proven by itself; whether all were selected, it cannot show.',
      ...(report.opened > 0 ? [`${count(report.opened, 'event reads', 'events read')} as the sealed entry says.`] : []),
      ...report.unfounded.map((what) => inertText(`UNFOUNDED  ${what} is not what the proven entries hold`)),
    ]);
    if (report.unfounded.length > 0) throw new CommandFailure();
    return;
  }
  if (publicKey !== undefined && options.proof !== undefined) {
    print(await verifyProofFile(options.proof, { publicKey, kept }), options, []);
    return;
  }
  const { key, checkpoint } = options;
  const report = await withProvenRecord({ how: 'verify', selection: { key, checkpoint } }, async (record) =>
    record.verify(publicKey ?? (await record.checkpoints.firstPublicKey()), kept),
  );
  print(
    report,
    options,
    publicKey === undefined ? ['The key is the record’s own; with --key you trust the one you were given.'] : [],
  );
}

async function verifyProofFile(file: string, trust: Trust): Promise<RecordReport> {
  const document = proofDocumentSchema.safeParse(jsonOf(file, await textOf(file)));
  if (!document.success) return fail(`REMIT_CLI_FILE: ${file} holds no proof as remit audit prove prints it`);
  const { proof, checkpoints } = document.data;
  const each = async function* <Value>(values: readonly Value[]): AsyncGenerator<Value> {
    for (const value of values) yield await Promise.resolve(value);
  };
  return verifyProofs({ checkpoints: () => each(checkpoints), proofs: () => each([proof]) }, trust, proofCrypto);
}

async function prove(eventId: string): Promise<void> {
  const document = await withProvenRecord({ how: 'prove', selection: { eventId } }, async (record) => {
    const place = /^(.+)\/(\d{1,9})\/(\d{1,15})$/.exec(eventId);
    const found = await record.stored.withEventId(eventId);
    const [entry] =
      found.length > 0 || place === null
        ? found
        : await record.stored.at([{ topic: place[1] ?? '', partition: Number(place[2]), offset: Number(place[3]) }]);
    if (entry === undefined) return fail(`REMIT_RECORD_NO_EVENT: the record holds no event ${JSON.stringify(eventId)}`);
    if (found.length > 1) {
      const places = found.map(placeName);
      process.stderr.write(`(the first of ${String(found.length)} with this id: ${places.join(', ')})\n`);
    }
    const proof = await record.prove(entry, Date.now());
    const checkpoints: Checkpoint[] = [];
    for await (const checkpoint of record.stored.checkpoints()) checkpoints.push(checkpoint);
    return { format: 'remit.proof/1', proof, checkpoints };
  });
  printJson(document);
}

function print(report: RecordReport, options: VerifyOptions, remarks: readonly string[]): void {
  if (options.json === true) {
    printJson(report);
  } else {
    if (report.faults.length > 0) {
      process.stdout.write(
        tableOf(
          ['what', 'where', 'epoch', ''],
          report.faults.map((fault) => [fault.kind, placeOf(fault), String(fault.epoch ?? 'unsigned'), fault.what]),
        ),
      );
      if (report.moreFaults > 0) process.stdout.write(`… and ${String(report.moreFaults)} more\n`);
    }
    for (const { epoch, after, by, reason, closedAt } of report.restorations) {
      process.stdout.write(
        inertText(
          `Checkpoint ${String(epoch)} (${closedAt}) says that the database was restored: what epochs ${String(after + 1)} to ` +
            `${String(epoch - 1)} had signed was read again from the log and signed anew; acknowledged by ${by}: ${reason}`,
        ) + '\n',
      );
    }
    const { last, proven, notYetProven, dropped, checkpoints } = report;
    const until = last === undefined ? '' : `, the last of ${last.closedAt}`;
    process.stdout.write(
      `${count(proven, 'entry is', 'entries are')} proven by ${count(checkpoints, 'checkpoint', 'checkpoints')}${until}.\n`,
    );
    if (notYetProven > 0) {
      process.stdout.write(
        `${count(notYetProven, 'entry is', 'entries are')} not yet proven: no checkpoint covers them.\n`,
      );
    }
    if (dropped > 0)
      process.stdout.write(`${count(dropped, 'entry was', 'entries were')} dropped when their time had come.\n`);
    for (const remark of remarks) process.stdout.write(`${remark}\n`);
    process.stdout.write(`${verdictOn(report)}\n`);
  }
  if (report.faults.length > 0) throw new CommandFailure();
}

function verdictOn(report: RecordReport & Partial<Pick<PackReport, 'unfounded'>>): string {
  if (report.faults.length > 0) return 'THE RECORD HAS BEEN TOUCHED.';
  if ((report.unfounded ?? []).length > 0) return 'THE EXPORT HAS BEEN TOUCHED.';
  if (report.checkpoints === 0) {
    return (
      'NOTHING IS PROVEN YET: there is no checkpoint. Audit signs one every minute, remit audit checkpoint does so now; ' +
      'whoever kept one before has seen them removed, and names it with --checkpoint.'
    );
  }
  return report.notYetProven > 0 ? 'Nobody has touched what is proven.' : 'Nobody has touched it.';
}

function placeOf(fault: RecordFault): string {
  if (!('topic' in fault)) return 'checkpoint';
  const { offset, until } = fault;
  const place = placeName(fault);
  return until > offset + 1 ? `${place} … ${String(until - 1)}` : place;
}

function count(number: number, one: string, several: string): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : several}`;
}

function jsonOf(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail(`REMIT_CLI_FILE: ${file} is not JSON`);
  }
}

/** One JSON object a line, as `remit audit checkpoint` and the audit service write them. */
async function checkpointsIn(file: string): Promise<readonly Checkpoint[]> {
  return (await textOf(file)).split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const where = `${file}, line ${String(index + 1)},`;
    const checkpoint = checkpointSchema.safeParse(jsonOf(where, line));
    return checkpoint.success ? checkpoint.data : fail(`REMIT_CLI_FILE: ${where} is no checkpoint`);
  });
}
