import { dirname } from 'node:path';
import { mkdirSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { KafkaBus } from '#bus';
import { loadConfig } from '#config';
import {
  aclLines,
  rulesOfAgent,
  rulesOfService,
  SERVICES,
  databaseRolesSql,
  topicLines,
  TOPICS,
  type ServiceName,
} from '#contracts';
import { migrateEventStore } from '#event-store';
import { migrateRecord } from '#record';
import { createSigningKey } from '#signing';

interface AccessOptions {
  readonly service?: ServiceName[];
  readonly agent?: string[];
  readonly prefix: string;
  readonly apply?: true;
}

interface KeyOptions {
  readonly service: ServiceName;
  readonly key: string;
  readonly trusted: string;
  readonly acceptUnsigned?: true;
}

/** `remit kafka …`, `remit database …` and `remit keys …`: what an administrator does once, before Remit starts. */
export function addSecurityCommands(program: Command): void {
  const kafka = program.command('kafka').description('Prepare the brokers: topics, and the rights of each process.');
  kafka
    .command('topics')
    .description('Create the topics that are missing, and check the settings of those that are there.')
    .option('--print', 'print the lines for kafka-topics.sh that create them, instead')
    .action(async ({ print }: { print?: true }) => {
      if (print === true) {
        process.stdout.write(topicLines());
        return;
      }
      await withBus(async (bus) => {
        await bus.ensureTopics(Object.values(TOPICS));
        process.stdout.write(`${String(Object.keys(TOPICS).length)} topics are there, set as they must be.\n`);
      });
    });
  kafka
    .command('acls')
    .summary('Print or create the rights that each process needs.')
    .description(
      'The least rights of each process and of agents, as lines for kafka-acls.sh; with --apply they are created over ' +
        'KAFKA_BROKERS, whose settings must be those of an administrator. Rights that are there stay.',
    )
    .addOption(new Option('--service <service...>', 'only for these services').choices(SERVICES))
    .option('--agent <principal...>', 'principals of agents: an agent id, or a name that several agents share')
    .option('--prefix <text>', 'the principal of a service is this and its name', 'remit-')
    .option('--apply', 'create them, instead of printing them')
    .addHelpText(
      'after',
      '\nExamples:\n  remit kafka acls                                  for the five services and standalone' +
        '\n  remit kafka acls --agent cost-monitor risk-bot    for two agents as well' +
        '\n  remit kafka acls --service audit --apply          create those of audit',
    )
    .action(async ({ service = [...SERVICES], agent = [], prefix, apply }: AccessOptions) => {
      const rules = [
        ...service.flatMap((name) => rulesOfService(name, `${prefix}${name}`)),
        ...agent.flatMap((principal) => rulesOfAgent(principal)),
      ];
      if (apply !== true) {
        process.stdout.write(aclLines(rules));
        return;
      }
      await withBus(async (bus) => {
        await bus.allow(rules);
        process.stdout.write(`${String(rules.length)} rights are there.\n`);
      });
    });

  const database = program.command('database').description('Prepare PostgreSQL: roles, logins and tables.');
  database
    .command('roles')
    .summary('Print the SQL that creates a login for each process and task.')
    .description(
      'The SQL that creates a login for each process and task, and the roles that hold their rights: for an administrator ' +
        'of the server. It may be run again, and holds no password.',
    )
    .option('--prefix <text>', 'a login is called this and its name', 'remit_')
    .action(({ prefix }: { prefix: string }) => {
      process.stdout.write(databaseRolesSql(prefix));
    });
  database
    .command('migrate')
    .summary('Create or update the tables, and grant the roles their rights.')
    .description(
      'Create or update the tables in the database of DATABASE_URL, as their owner, and grant the roles their rights. ' +
        'Nothing is lost when it is run again. Processes whose login may create tables do it themselves.',
    )
    .action(async () => {
      const { databaseUrl } = loadConfig();
      await migrateEventStore({ databaseUrl, applicationName: 'remit-cli' });
      await migrateRecord({ databaseUrl, applicationName: 'remit-cli' });
      process.stdout.write('The tables are those of this version, and the roles have their rights.\n');
    });

  program
    .command('keys')
    .description('The keys with which the services sign what they write.')
    .command('create')
    .summary('Make a signing key for a service, and trust it.')
    .description(
      'Make a signing key for a service: its private key goes to --key, its public key into the file --trusted, which ' +
        'every process needs before the service signs with it. To rotate: create a new one, hand out the file, ' +
        'restart the service with the new key, then give the old one its `until` in the file.',
    )
    .addOption(new Option('--service <service>', 'which service signs with it').choices(SERVICES).makeOptionMandatory())
    .requiredOption('--key <file>', 'where the private key goes: REMIT_SIGNING_KEY_FILE of the service')
    .requiredOption('--trusted <file>', 'the public keys of all services: REMIT_TRUSTED_KEYS_FILE of every process')
    .option('--accept-unsigned', 'what lies on the log now counts without a signature: for a Remit without keys so far')
    .action(({ service, key, trusted, acceptUnsigned }: KeyOptions) => {
      for (const file of [key, trusted]) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      const id = createSigningKey({
        service,
        keyFile: key,
        trustedKeysFile: trusted,
        unsignedUntil: acceptUnsigned === true ? Date.now() : undefined,
      });
      process.stdout.write(`${service} signs with the key ${id} in ${key}; ${trusted} trusts it.\n`);
    });
}

async function withBus(work: (bus: KafkaBus) => Promise<void>): Promise<void> {
  const { kafkaBrokers, kafkaSecurity, replicationFactor } = loadConfig();
  const bus = new KafkaBus({ brokers: kafkaBrokers, security: kafkaSecurity, replicationFactor });
  try {
    await work(bus);
  } finally {
    await bus.close();
  }
}
