import { describe, expect, it } from '@jest/globals';
import { countGaps, type Gap } from '#domain';
import {
  chainScriptSchema,
  countingReads,
  eventsOfScript,
  messageOfChainEvent,
  SCRIPT_START,
  type ChainScript,
} from '#testing';
import type { RecordedMessage } from './history.js';
import { ENTRIES_PER_PAGE } from './history-reading.js';
import { MemoryHistory } from './memory-history.js';
import { recordedGaps } from './recorded-gaps.js';

const NOW = SCRIPT_START + 90_000;

function messagesOf(events: readonly object[]): RecordedMessage[] {
  const script: ChainScript = chainScriptSchema.parse({ agents: ['clerk', 'honest'], events });
  return eventsOfScript(script).map(messageOfChainEvent);
}

async function gapsIn(history: MemoryHistory): Promise<Gap[]> {
  const found: Gap[] = [];
  for await (const page of recordedGaps(history, {}, NOW)) found.push(...page);
  return found;
}

describe('gaps among very many events about one intent', () => {
  it('are found by reading each event once, a page at a time, when an agent repeats itself', async () => {
    const repeats = 30_000;
    const history = new MemoryHistory();
    const [intent, ...others] = messagesOf([
      { intent: 'again', agent: 'clerk', at: 0 },
      { intent: 'pay', agent: 'honest', at: 5 },
      { decision: 'pay', outcome: 'allow', at: 10 },
    ]);
    if (intent === undefined) throw new Error('no intent');
    await history.append([...Array.from({ length: repeats }, (_, offset) => ({ ...intent, offset })), ...others]);
    const counted = countingReads(history);
    expect((await gapsIn(history)).map(({ kind, agentId, offset }) => [kind, agentId, offset])).toEqual([
      ['intent-without-decision', 'clerk', 0],
      ['allow-without-outcome', 'honest', 0],
    ]);
    // the honest intent lies on two pages at most
    expect(counted.entries - repeats).toBeLessThanOrEqual(4);
    expect(counted.atOnce).toBe(ENTRIES_PER_PAGE);
  });

  it('are told for each action that the id was used for, however many there are', async () => {
    const actions = 4000;
    const history = new MemoryHistory();
    await history.append(
      messagesOf(
        Array.from({ length: actions }, (_, i) => [
          { intent: 'one', agent: 'clerk', at: 3 * i, action: `read_${String(i)}` },
          ...(i % 4 === 0 ? [] : [{ decision: 'one', outcome: i % 4 === 1 ? 'deny' : 'allow', at: 3 * i + 1 }]),
          ...(i % 4 === 3 ? [{ report: 'one', status: 'executed', at: 3 * i + 2 }] : []),
        ]).flat(),
      ),
    );
    const counted = countingReads(history);
    const gaps = await gapsIn(history);
    expect(countGaps(gaps)).toEqual({
      'intent-without-decision': actions / 4,
      'allow-without-outcome': actions / 4,
      'outcome-without-allow': 0,
      'outcome-differs': 0,
      'executed-too-late': 0,
    });
    expect(gaps.map(({ appendTime }) => appendTime)).toEqual(
      gaps.map(({ appendTime }) => appendTime).toSorted((a, b) => a - b),
    );
    expect(counted.entries).toBe(2 * actions);
  });
});
