import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus, ConsumeOptions, Following, GroupReading, ReadingGate } from '#bus';
import { BusError, messageOf } from '#bus';
import { CONTROL_TOPICS, EVENTS, GROUPS, readEvent, sha256, TOPICS, writeEvent } from '#contracts';
import {
  compareWithLog,
  discrepancySentence,
  evolveDiscrepancies,
  heldBy,
  knownAs,
  logDiscrepancy,
  openDiscrepancies,
  voidBefore,
  type HoldRules,
  type LogDiscrepancies,
  type LogDiscrepancy,
  type LogDiscrepancyEvent,
  type ReaderPosition,
  type StandingDiscrepancy,
} from '#domain';

/** How often a process compares what it has read with the log, ms. */
export const LOG_LOOK_EVERY_MS = 5_000;

const HOLD_RULES: HoldRules = { controlTopics: CONTROL_TOPICS, auditGroup: GROUPS.audit };

/** Where a reader that is no consumer group has come: the audit log, the event store. */
export type PositionSource = () => Promise<readonly ReaderPosition[]>;

export interface LogWatchOptions {
  /** The clock of this process, ms since the epoch. It only says when something was found. */
  readonly now: () => number;
  /** Hears of every discrepancy once, as it is found. */
  readonly onFound: (discrepancy: LogDiscrepancy, sentence: string) => void;
  /** Hears of every look that failed; the next one tries again. */
  readonly onFailure: (error: unknown) => void;
  readonly everyMs?: number;
}

/** The process's bus, as far as the watch needs it. */
type WatchedBus = Pick<Bus, 'publish' | 'follow' | 'starts' | 'ends' | 'committed'>;

/**
 * Compares what this process has read with where the log begins and ends: at every start before anything is read on,
 * before each batch, and every few seconds. What does not agree is a discrepancy: it goes to `governance.discrepancies`
 * and stands until a person acknowledges exactly it, in whichever process and after however many restarts.
 */
export class LogWatch implements ReadingGate {
  readonly #sources: PositionSource[] = [];
  readonly #told: ((event: LogDiscrepancyEvent) => void)[] = [];
  readonly #groups = new Map<string, ConsumeOptions>();
  readonly #stopping = new AbortController();
  #bus: WatchedBus | undefined;
  #known: LogDiscrepancies = new Map();
  #read = 0;
  #inDoubtUntil = -Infinity;
  #following: Following | undefined;
  #looking: Promise<void> | undefined;
  readonly #changed: (() => void)[] = [];

  constructor(private readonly options: LogWatchOptions) {}

  /** Learns what was found and acknowledged before. */
  async start(bus: WatchedBus): Promise<void> {
    this.#bus = bus;
    const topic = TOPICS.logDiscrepancies.name;
    this.#following = await bus.follow({ topics: [topic], from: 'start' }, (messages, { nextOffset }) => {
      for (const message of messages) {
        const reading = readEvent(EVENTS.logDiscrepancy, message);
        if (!reading.ok) continue;
        this.#known = evolveDiscrepancies(this.#known, reading.event.data);
        this.#settleDoubt(reading.event.data, message.logTime);
        for (const told of this.#told) told(reading.event.data);
      }
      this.#read = nextOffset;
      for (const changed of this.#changed.splice(0)) changed();
    });
    await this.#readToTheEnd();
    this.#looking = this.#lookOnAndOn(bus);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
    await this.#following?.stop();
  }

  /** A reader that is no consumer group: its first comparison is over when this resolves. */
  async watch(source: PositionSource): Promise<void> {
    this.#sources.push(source);
    await this.#compare(await source());
  }

  /** Hears of everything that is said of discrepancies from now on, by this process and others. It must not throw. */
  onSaid(told: (event: LogDiscrepancyEvent) => void): void {
    this.#told.push(told);
  }

  /** Everything that was ever found. */
  all(): readonly StandingDiscrepancy[] {
    return [...this.#known.values()];
  }

  /** What nobody has acknowledged yet. */
  open(): readonly LogDiscrepancy[] {
    return openDiscrepancies(this.#known).map(({ discrepancy }) => discrepancy);
  }

  /**
   * Log time of the last acknowledgement that a control topic had lost something, ms since the epoch; -Infinity: there is
   * none. What is published again to make it good lies behind: nobody knows what was in force before.
   */
  inDoubtUntil(): number {
    return this.#inDoubtUntil;
  }

  #settleDoubt(event: LogDiscrepancyEvent, logTime: number): void {
    if (event.event !== 'LogDiscrepancyAcknowledged') return;
    const { kind, topic = '' } = this.#known.get(event.id)?.discrepancy ?? {};
    if ((kind === 'log-cut' || kind === 'log-lost') && CONTROL_TOPICS.includes(topic)) this.#inDoubtUntil = logTime;
  }

  /** The one of this id, however it stands. */
  find(id: string): StandingDiscrepancy | undefined {
    return this.#known.get(id);
  }

  /** What this or an equal finding is known as. */
  knownAs(discrepancy: LogDiscrepancy): StandingDiscrepancy | undefined {
    return knownAs(discrepancy, this.#known);
  }

  /** Puts a discrepancy on the log, unless it is there. Resolves once every process can know. */
  async found(discrepancy: LogDiscrepancy): Promise<void> {
    if (this.knownAs(discrepancy) !== undefined) return;
    this.options.onFound(discrepancy, discrepancySentence(discrepancy));
    await this.#say({ event: 'LogDiscrepancyFound', at: this.#now(), discrepancy });
  }

  /** A person takes note of exactly this discrepancy. Returns how it stands then; `undefined`: there is none. */
  async acknowledge(id: string, by: string, reason: string): Promise<StandingDiscrepancy | undefined> {
    const known = this.#known.get(id);
    if (known === undefined || known.acknowledged !== undefined) return known;
    await this.#say({ event: 'LogDiscrepancyAcknowledged', at: this.#now(), id, by, reason });
    return this.#known.get(id);
  }

  async joining(options: ConsumeOptions): Promise<void> {
    this.#groups.set(options.group, options);
    const bus = this.#required();
    const committed = await bus.committed(options.group, options.topics);
    await this.#compare(positionsOf(options.group, committed));
  }

  async admit(reading: GroupReading): Promise<number> {
    const { group, topic, partition, expected, readFrom } = reading;
    const place = { topic, partition, reader: group };
    if (expected !== undefined && readFrom < expected) {
      await this.found(logDiscrepancy({ kind: 'log-lost', ...place, from: readFrom, to: expected }, sha256));
    }
    if (expected !== undefined && readFrom > expected) {
      // markers of transactions take offsets as well: only what is no longer kept is missing
      const start = (await this.#required().starts([topic])).get(topic)?.[partition] ?? 0;
      if (start > expected) {
        await this.found(logDiscrepancy({ kind: 'log-cut', ...place, from: expected, to: start }, sha256));
      }
    }
    const held = heldBy(this.#known, reading, HOLD_RULES);
    if (held !== undefined) {
      throw new BusError(
        'REMIT_BUS_HELD',
        `${discrepancySentence(held)}: ${group} waits until somebody has acknowledged it (remit log acknowledge ${held.id})`,
      );
    }
    return voidBefore(this.#known, reading, HOLD_RULES);
  }

  async #compare(positions: readonly ReaderPosition[]): Promise<void> {
    const topics = [...new Set(positions.map(({ topic }) => topic))];
    if (topics.length === 0) return;
    const bus = this.#required();
    // what was read before the ends were asked for cannot lie behind them
    const [starts, ends] = await Promise.all([bus.starts(topics), bus.ends(topics)]);
    for (const found of compareWithLog(positions, { starts, ends }, sha256)) await this.found(found);
  }

  async #lookOnAndOn(bus: WatchedBus): Promise<void> {
    const { signal } = this.#stopping;
    const everyMs = this.options.everyMs ?? LOG_LOOK_EVERY_MS;
    for (;;) {
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const groups = [...this.#groups.values()];
        const committed = await Promise.all(
          groups.map(async ({ group, topics }) => positionsOf(group, await bus.committed(group, topics))),
        );
        const others = await Promise.all(this.#sources.map((source) => source()));
        await this.#compare([...committed.flat(), ...others.flat()]);
      } catch (error) {
        if (!signal.aborted) this.options.onFailure(error);
      }
    }
  }

  async #say(event: LogDiscrepancyEvent): Promise<void> {
    const id = event.event === 'LogDiscrepancyFound' ? event.discrepancy.id : event.id;
    const message = writeEvent(EVENTS.logDiscrepancy, {
      id: `${id}/${event.event}`,
      source: '/remit/log-watch',
      subject: id,
      time: event.at,
      data: event,
    });
    await this.#required().publish([{ topic: TOPICS.logDiscrepancies.name, key: null, ...message }]);
    await this.#readToTheEnd();
  }

  async #readToTheEnd(): Promise<void> {
    const topic = TOPICS.logDiscrepancies.name;
    const end = (await this.#required().ends([topic])).get(topic)?.[0] ?? 0;
    while (this.#read < end && !this.#stopping.signal.aborted) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  #required(): WatchedBus {
    if (this.#bus === undefined) throw new Error('the log watch has not been started');
    return this.#bus;
  }

  #now(): string {
    return new Date(this.options.now()).toISOString();
  }
}

function positionsOf(
  reader: string,
  committed: ReadonlyMap<string, ReadonlyMap<number, number>>,
): readonly ReaderPosition[] {
  return [...committed].flatMap(([topic, partitions]) =>
    [...partitions].map(([partition, next]) => ({ reader, topic, partition, next })),
  );
}

export function sayingOfFailure(error: unknown): string {
  return `comparing the log with what was read failed, and is tried again: ${messageOf(error)}`;
}
