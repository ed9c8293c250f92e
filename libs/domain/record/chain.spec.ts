import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { chainScriptSchema, erasedIn, eventsOfScript, intentIdNamed } from '#testing';
import type { ChainEvent, ReadableChainEvent } from './chain-event.js';
import { foldChain, type ChainAction } from './chain.js';

const AGENTS = ['a', 'b', 'c'];
const NAMES = ['one', 'two', 'three', 'four', 'five'];

/** Chains in which anything may claim anything as its cause. */
const anyEvents: fc.Arbitrary<ReadableChainEvent[]> = fc
  .array(
    fc.record({
      name: fc.constantFrom(...NAMES),
      agent: fc.constantFrom(...AGENTS),
      cause: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
      chain: fc.constantFrom('the chain', 'the chain', 'another'),
      action: fc.constantFrom('read', 'delete'),
      at: fc.nat(6),
      outcome: fc.option(fc.constantFrom('allow', 'allow', 'deny', 'hold'), { nil: undefined }),
      lost: fc.nat(5).map((n) => n === 0),
      reported: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  .map((steps) =>
    eventsOfScript(
      chainScriptSchema.parse({
        agents: AGENTS,
        events: steps.flatMap(({ name, agent, cause, chain, action, at, outcome, lost, reported }) => [
          lost ? { lost: name, agent, at, action } : { intent: name, agent, cause, chain, action, at },
          ...(outcome === undefined ? [] : [{ decision: name, outcome, at: at + 1 }]),
          ...(reported ? [{ report: name, status: 'executed', at: at + 2 }] : []),
        ]),
      }),
    ),
  );

/** Of an erased one that was sent again nobody can tell which cause it gave first. */
function isCertain({ erased, idReused }: ChainAction): boolean {
  return !erased || idReused === false;
}

describe('a chain folded from the record', () => {
  it('is the same tree in whatever order and how often its events are read', () => {
    fc.assert(
      fc.property(anyEvents, fc.infiniteStream(fc.nat()), (events, dice) => {
        const shuffled = [...events, ...events].sort(() => (dice.next().value % 3) - 1);
        expect(foldChain('the chain', shuffled)).toEqual(foldChain('the chain', events));
      }),
    );
  });

  it('shows every recorded action of the chain exactly once, whatever causes are claimed', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const recorded = events.flatMap((event) =>
          event.kind === 'intent' && event.intent.chainId === 'the chain'
            ? [`${event.intent.agentId} ${event.intent.intentId} ${event.actionDigest}`]
            : [],
        );
        const shown = foldChain('the chain', events).actions.filter(({ appendTime }) => appendTime !== null);
        expect(shown.map(({ agentId, intentId, action }) => `${agentId} ${intentId} ${action.digest}`).sort()).toEqual(
          [...new Set(recorded)].sort(),
        );
      }),
    );
  });

  it('calls a cause proven only when the record holds it before its effect, in the chain and allowed', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const { actions } = foldChain('the chain', events);
        for (const { cause, appendTime } of actions) {
          if (cause?.standing !== 'proven') continue;
          const causing = actions.filter(
            (one) => one.agentId === cause.agentId && one.intentId === cause.intentId && one.outcome === 'allow',
          );
          expect(causing.some((one) => one.appendTime !== null && one.appendTime <= (appendTime ?? Infinity))).toBe(
            true,
          );
        }
      }),
    );
  });

  it('names the agents above each action, from the first on', () => {
    fc.assert(
      fc.property(anyEvents, (events) => {
        const above: string[] = [];
        for (const { agentId, depth, upstream } of foldChain('the chain', events).actions) {
          above.length = depth;
          expect(upstream.agents).toEqual([...new Set(above)]);
          above.push(agentId);
        }
      }),
    );
  });

  it('says nothing worse and nothing better of any agent after an erasure: what nobody can tell any more is erased', () => {
    fc.assert(
      fc.property(anyEvents, fc.subarray(NAMES), (events, erased) => {
        const left = erasedIn(events, erased.map(intentIdNamed));
        const before = foldChain('the chain', events);
        const after = foldChain('the chain', left);
        for (const action of after.actions) {
          const was = before.actions.find(
            (one) =>
              one.agentId === action.agentId &&
              one.intentId === action.intentId &&
              one.action.digest === action.action.digest,
          );
          if (was === undefined) {
            expect(action).toMatchObject({ erased: true, cause: null, outcome: 'undecided', decisions: [] });
            continue;
          }
          expect([was.outcome, was.decisions.length]).toEqual([action.outcome, action.decisions.length]);
          if (isCertain(action) && action.cause?.standing !== 'erased') expect(action.cause).toEqual(was.cause);
          expect([was.idReused, null]).toContain(action.idReused);
          if (was.appendTime !== null) expect(action.appendTime !== null || action.erased).toBe(true);
          if (after.actions.every(isCertain) && action.upstream.proven) expect(was.upstream.proven).toBe(true);
        }
        const reported = (of: readonly ChainEvent[]): boolean =>
          ['the chain', 'another']
            .map((chain) => foldChain(chain, of))
            .some(
              ({ actions, strayReports }) => strayReports.length > 0 || actions.some((one) => one.reports.length > 0),
            );
        expect(reported(left)).toBe(reported(events));
      }),
      { numRuns: 500 },
    );
  });

  it('says the same of a claimed cause after an erasure, also where its id was sent for two actions and one was denied', () => {
    const events = eventsOfScript(
      chainScriptSchema.parse({
        agents: AGENTS,
        events: [
          { intent: 'cause', agent: 'a', action: 'delete', at: 0 },
          { intent: 'cause', agent: 'a', action: 'read', at: 0 },
          { decision: 'cause', outcome: 'deny', at: 1 },
          { intent: 'effect', agent: 'b', cause: 'cause', at: 2 },
        ],
      }),
    );
    for (const erased of [[], ['cause']]) {
      const { actions } = foldChain('the chain', erasedIn(events, erased.map(intentIdNamed)));
      expect(actions.find(({ agentId }) => agentId === 'b')?.cause).toMatchObject({
        standing: 'claimed',
        why: 'denied',
      });
    }
  });

  it('is folded however long two agents have called each other', () => {
    const length = 3000;
    const long = eventsOfScript(
      chainScriptSchema.parse({
        agents: AGENTS,
        events: Array.from({ length }, (_, i) => ({
          intent: `call ${String(i)}`,
          agent: AGENTS[i % 2],
          at: i,
          cause: `call ${String(i - 1)}`,
        })),
      }),
    );
    const { actions } = foldChain('the chain', long);
    expect(actions).toHaveLength(length);
    expect(actions.at(-1)).toMatchObject({ depth: length - 1, upstream: { agents: ['a', 'b'] } });
  });
});
