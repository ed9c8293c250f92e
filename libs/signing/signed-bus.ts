import { TOPICS, type TopicDeclaration } from '#contracts';
import type {
  BatchHandler,
  Bus,
  CommittedOffsets,
  ConsumeOptions,
  Consumption,
  Following,
  FollowOptions,
  LogEnds,
  MessageReader,
  OutgoingMessage,
  PublishedMessage,
  ReceivedMessage,
  Standstill,
  Unreadable,
} from '#bus';
import type { SigningKey } from './keys.js';
import { SIGNATURE_HEADER, signMessages, type MessageVerifier } from './message-signature.js';

/** Topics that only Remit writes and whose messages it acts on. */
export const SIGNED_TOPICS: ReadonlySet<string> = new Set(
  Object.values(TOPICS)
    .filter(({ signed }: TopicDeclaration) => signed)
    .map(({ name }) => name),
);

/** Signed topics that no consumer group works off: audit writes the dead letters of what is refused there. */
export const FOLLOWED_TOPICS: ReadonlySet<string> = new Set([
  TOPICS.charterEvents.name,
  TOPICS.permissionState.name,
  TOPICS.logDiscrepancies.name,
]);

export interface SignedBusOptions {
  /** Undefined: this process only reads. */
  readonly signingKey?: SigningKey | undefined;
  readonly verifier: MessageVerifier;
  /** Called for each message that is refused, by every reader of it. It must not throw. */
  readonly onRefused: (refused: Unreadable) => void;
}

/**
 * A bus on which Remit's own messages are signed, and read only where the signature is right. A consumer group turns
 * what is refused into a dead letter; a private reader leaves it out. Messages that agents may write are handed out
 * either way: those that carry a right signature say so in `writtenBy`.
 */
export class SignedBus implements Bus {
  constructor(
    private readonly bus: Bus,
    private readonly options: SignedBusOptions,
  ) {}

  ensureTopics(declarations: readonly TopicDeclaration[]): Promise<void> {
    return this.bus.ensureTopics(declarations);
  }

  publish(messages: readonly OutgoingMessage[]): Promise<readonly PublishedMessage[]> {
    return this.bus.publish(this.#signed(messages));
  }

  consume(options: ConsumeOptions, handler: BatchHandler): Promise<Consumption> {
    return this.bus.consume(options, async (batch) => {
      const refused: Unreadable[] = [];
      const messages = this.#accepted(batch.messages, refused);
      const result =
        messages.length === 0
          ? { publish: [], unreadable: [] }
          : await handler({ ...batch, messages, heartbeat: () => batch.heartbeat() });
      return { publish: this.#signed(result.publish), unreadable: [...refused, ...result.unreadable] };
    });
  }

  follow(options: FollowOptions, onMessages: MessageReader): Promise<Following> {
    return this.bus.follow(options, (messages, position) => onMessages(this.#accepted(messages, []), position));
  }

  starts(topics: readonly string[]): Promise<LogEnds> {
    return this.bus.starts(topics);
  }

  committed(group: string, topics: readonly string[]): Promise<CommittedOffsets> {
    return this.bus.committed(group, topics);
  }

  ends(topics: readonly string[]): Promise<LogEnds> {
    return this.bus.ends(topics);
  }

  firstBetween(topic: string, partition: number, from: number, to: number): Promise<number | undefined> {
    return this.bus.firstBetween(topic, partition, from, to);
  }

  async readAt(topic: string, partition: number, offset: number): Promise<ReceivedMessage | undefined> {
    const message = await this.bus.readAt(topic, partition, offset);
    return message && this.#accepted([message], [])[0];
  }

  standstills(): readonly Standstill[] {
    return this.bus.standstills();
  }

  close(): Promise<void> {
    return this.bus.close();
  }

  #signed<Message extends OutgoingMessage>(messages: readonly Message[]): readonly Message[] {
    const { signingKey } = this.options;
    if (signingKey === undefined) return messages;
    const own = messages.filter(({ topic }) => isSignedByRemit(topic));
    const headers = signMessages(own, signingKey);
    const headerOf = new Map(own.map((message, index) => [message, headers[index]]));
    return messages.map((message) => {
      const header = headerOf.get(message);
      return header === undefined
        ? message
        : { ...message, headers: { ...message.headers, [SIGNATURE_HEADER]: header } };
    });
  }

  /** Those that may be acted on; the others go into `refused`. */
  #accepted(messages: readonly ReceivedMessage[], refused: Unreadable[]): readonly ReceivedMessage[] {
    const accepted: ReceivedMessage[] = [];
    for (const message of messages) {
      const mustBeSigned = SIGNED_TOPICS.has(message.topic);
      if (!mustBeSigned && !Object.hasOwn(message.headers, SIGNATURE_HEADER)) {
        accepted.push(message);
        continue;
      }
      const verification = this.options.verifier.verify(message);
      if (verification.ok) accepted.push({ ...message, writtenBy: verification.writtenBy });
      else if (!mustBeSigned) accepted.push(message);
      else {
        const unreadable = { message, code: verification.code, reason: verification.reason };
        this.options.onRefused(unreadable);
        refused.push(unreadable);
      }
    }
    return accepted;
  }
}

/** Re-evaluations lie among the intents of agents, and are Remit's own. */
function isSignedByRemit(topic: string): boolean {
  return SIGNED_TOPICS.has(topic) || topic === TOPICS.agentActions.name;
}
