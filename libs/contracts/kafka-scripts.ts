import { aclArguments, rulesOfAgent, type AccessRule } from './access.js';
import { TOPICS, topicConfiguration, type TopicDeclaration } from './topics.js';

const SAFE_WORD = /^[A-Za-z0-9_.,:=/-]+$/;
const quoted = (word: string): string => (SAFE_WORD.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`);

const KAFKA_ACLS = 'kafka-acls.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN"';
const KAFKA_TOPICS = 'kafka-topics.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN"';

/** Lines for Kafka's own tools that give rights; `$KAFKA` and `$ADMIN` are the brokers and an administrator's settings. */
export function aclLines(rules: readonly AccessRule[]): string {
  return rules.map((rule) => `${KAFKA_ACLS} ${aclArguments(rule).map(quoted).join(' ')}\n`).join('');
}

/** Lines that give an agent's rights to each principal that the script is called with. */
export function agentAclLines(): string {
  const place = 'PRINCIPAL';
  const lines = aclLines(rulesOfAgent(place)).replaceAll(new RegExp(`\\S*${place}\\S*`, 'g'), (word) =>
    JSON.stringify(word.replace(place, () => '${agent}')),
  );
  return `for agent in "$@"; do\n${lines.replaceAll(/^/gm, '  ').trimEnd()}\ndone\n`;
}

/** Lines that create the topics that are missing; those that are there stay as they are. */
export function topicLines(topics: readonly TopicDeclaration[] = Object.values(TOPICS)): string {
  return topics
    .map((topic) => {
      const settings = Object.entries(topicConfiguration(topic)).map(
        ([name, value]) => `--config ${quoted(`${name}=${String(value)}`)}`,
      );
      const size = `--partitions ${String(topic.partitions)} --replication-factor "$REPLICAS"`;
      return `${KAFKA_TOPICS} --create --if-not-exists --topic ${topic.name} ${size} ${settings.join(' ')}\n`;
    })
    .join('');
}
