import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { KafkaBus, partitionOf } from '#bus';
import { EVENTS, TOPICS, writeEvent } from '#contracts';
import { eventually, untilReady, type RunningApp } from '#testing';
import { createOwnDatabase } from '../integration/own-database.js';
import { RestoredWorld } from './restored-world.js';

const JUDGED = 3;
const CUT = 16;
const partition = partitionOf('clerk', TOPICS.agentActions.partitions);

interface Listed {
  readonly discrepancies: readonly { id: string; kind: string; reader: string; from: number; to: number }[];
}

describe('promise 2: a log whose start was cut while Remit was down', () => {
  let world: RestoredWorld;
  let bus: KafkaBus;

  async function propose(count: number): Promise<void> {
    const messages = Array.from({ length: count }, () => {
      const intent = { intentId: uuidv7(), agentId: 'clerk', action: { type: 'view', target: 'accounts' } };
      const event = writeEvent(EVENTS.intent, { id: intent.intentId, source: '/test', subject: 'clerk', data: intent });
      return { topic: TOPICS.agentActions.name, key: 'clerk', ...event };
    });
    await bus.publish(messages);
  }

  const stored = async (topic: string): Promise<number> => {
    const [row] = await world.database.query(
      'SELECT count(*)::int AS count FROM record.history WHERE topic = $1 AND gap_until IS NULL',
      [topic],
    );
    return Number(row?.['count']);
  };

  const listed = async (...options: string[]): Promise<Listed['discrepancies']> =>
    (JSON.parse(await world.did('gwen', 'log', 'discrepancies', '--json', ...options)) as Listed).discrepancies;

  beforeAll(async () => {
    world = await RestoredWorld.open(createOwnDatabase);
    await world.begin();
    bus = new KafkaBus({ brokers: [world.broker.address], topics: Object.values(TOPICS) });
    await propose(JUDGED);
    await eventually(async () => (await stored(TOPICS.agentDecisions.name)) === JUDGED);
    await world.stop();
    await propose(CUT);
    await world.cut(TOPICS.agentActions.name, partition, JUDGED + CUT);
    await world.start('answers');
  });

  afterAll(async () => {
    await bus.close();
    await world.close();
  });

  it('is a discrepancy with its counts, a metric, and no process is ready', async () => {
    const found = await listed();
    expect(found.map(({ kind, reader, from, to }) => [kind, reader, from, to]).sort()).toEqual([
      ['log-cut', 'audit log', JUDGED, JUDGED + CUT],
      ['log-cut', 'remit.audit', JUDGED, JUDGED + CUT],
      ['log-cut', 'remit.boundary', JUDGED, JUDGED + CUT],
    ]);
    expect(await world.metrics()).toMatch(/remit_log_discrepancies\{[^}]*remit_discrepancy="log-cut"[^}]*\} 3/);
    expect((await world.missing())['log']).toContain(
      `${String(CUT)} offsets (${String(JUDGED)} to ${String(JUDGED + CUT - 1)}) of agent.actions/${String(partition)} were deleted`,
    );
  });

  it('stays one after a restart, although the group has gone on meanwhile', async () => {
    await propose(1);
    await eventually(async () => (await stored(TOPICS.agentDecisions.name)) === JUDGED + 1);
    await world.stop();
    await world.start('answers');
    expect(await listed()).toHaveLength(3);
  });

  it('holds the audit log of the partition, and lets it go on once a person has acknowledged it', async () => {
    expect(await stored(TOPICS.agentActions.name)).toBe(JUDGED);
    const refused = await world.remit('sam', 'log', 'acknowledge', (await listed())[0]?.id ?? '', '--reason', 'no');
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('REMIT_DOOR_ROLE_MISSING')]);

    const ids = (await listed()).map(({ id }) => id);
    await world.did('gwen', 'log', 'acknowledge', ...ids, '--reason', 'retention was set too low');
    await eventually(async () => (await stored(TOPICS.agentActions.name)) === JUDGED + 1);
    await untilReady([world.app as RunningApp]);
    expect(await listed()).toEqual([]);
    expect(await listed('--all')).toHaveLength(3);
    const [gap] = await world.database.query(
      'SELECT "offset"::int, gap_until::int FROM record.history WHERE topic = $1 AND gap_until IS NOT NULL',
      [TOPICS.agentActions.name],
    );
    expect(gap).toEqual({ offset: JUDGED, gap_until: JUDGED + CUT });
  });

  it('is acknowledged as exactly that: a log that is cut again is another discrepancy', async () => {
    await world.stop();
    await propose(2);
    await world.cut(TOPICS.agentActions.name, partition, JUDGED + CUT + 3);
    await world.start('answers');
    expect((await listed()).map(({ from, to }) => to - from)).toEqual([2, 2, 2]);
  });

  it('leaves what was acknowledged, by whom and why, in the audit log', async () => {
    const rows = await world.database.query('SELECT value FROM record.history WHERE topic = $1', [
      TOPICS.logDiscrepancies.name,
    ]);
    const said = rows.map(({ value }) => String(value)).join('\n');
    expect(said).toContain('"event":"LogDiscrepancyAcknowledged"');
    expect(said).toContain('"by":"gwen","reason":"retention was set too low"');
  });
});
