import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonValue } from '../intent/intent.js';
import { compilePolicies, type PolicyPrograms, type PolicyStatement } from './cel-policies.js';
import { WORK_PER_INTENT, WORK_PER_STEP } from './cel-patterns.js';
import type { PolicyVariables } from './cel-variables.js';
import type { ClaimReading } from './claim-readings.js';

const lists = { approvedDestinations: ['warehouse', '*.bank.example'] };
const occasion = { actionType: 'transfer', systems: ['ledger'], agentId: 'ledger-agent' };

function variables(action: Partial<PolicyVariables['action']> = {}): PolicyVariables {
  return {
    action: {
      type: 'transfer',
      target: 'ledger',
      parameters: {},
      destination: '',
      destinations: [],
      dataClassification: 'internal',
      integration: '',
      environment: '',
      containsPii: false,
      allowOffHours: false,
      ...action,
    },
    context: {
      agentId: 'ledger-agent',
      onBehalfOf: '',
      chainId: 'chain-1',
      triggerType: '',
      hasCause: false,
      localHour: 9,
      localMinute: 30,
      localWeekday: 'mon',
      offHoursAllowed: false,
      stage: 'enforce',
    },
    facts: { pii: [], piiPlaces: [], integrations: [], classification: 1 },
    agent: { owner: '', purpose: '' },
  };
}

function policy(id: string, condition: string, more: Partial<PolicyStatement> = {}): PolicyStatement {
  return { id, severity: 'critical', violated_when: condition, effect: 'deny', reason: 'because', ...more };
}

function programsOf(...policies: readonly PolicyStatement[]): PolicyPrograms {
  const compiled = compilePolicies(policies, { lists });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems));
  return compiled.programs;
}

const idsOf = (violated: readonly { policy: PolicyStatement }[]): string[] => violated.map(({ policy: { id } }) => id);

describe('policies', () => {
  it('every violated policy is reported, not only the first, and the others are listed as passed', () => {
    const programs = programsOf(
      policy('a', 'true'),
      policy('b', 'action.containsPii'),
      policy('c', 'context.localHour < 10'),
    );
    const { violated, passed } = programs.evaluate(occasion, variables());
    expect(idsOf(violated)).toEqual(['a', 'c']);
    expect(passed).toEqual(['b']);
  });

  it('a policy speaks only of the actions, systems and agents of its scope', () => {
    const programs = programsOf(
      policy('everything', 'true'),
      policy('transfers', 'true', { scope: { actions: ['transfer', 'pay_*'] } }),
      policy('crm', 'true', { scope: { systems: ['crm*'] } }),
      policy('payments-of-robots', 'true', { scope: { actions: ['pay_*'], agents: ['robot-*'] } }),
    );
    const idsFor = (actionType: string, system: string, agentId: string): string[] =>
      idsOf(programs.evaluate({ actionType, systems: [system], agentId }, variables()).violated);
    expect(idsFor('transfer', 'ledger', 'robot-1')).toEqual(['everything', 'transfers']);
    expect(idsFor('pay_out', 'crm-eu', 'robot-1')).toEqual(['everything', 'transfers', 'crm', 'payments-of-robots']);
    expect(idsFor('pay_out', 'crm-eu', 'person')).toEqual(['everything', 'transfers', 'crm']);
    expect(idsFor('read', 'ledger', 'robot-1')).toEqual(['everything']);
  });

  it('a condition that fails counts as violated and says why, never with a value in it', () => {
    const programs = programsOf(
      policy('a', 'action.parameters.secret > 1'),
      policy('b', 'int(action.parameters.secret) > 1'),
    );
    const { violated } = programs.evaluate(occasion, variables({ parameters: { secret: 'hunter2' } }));
    expect(violated.map(({ failed }) => failed)).toEqual(['no_such_overload', 'int_conversion_error']);
    expect(JSON.stringify(violated)).not.toContain('hunter2');
  });

  it('a permission that the agent holds lifts exactly the policies that name it', () => {
    const programs = programsOf(
      policy('production', 'true', { effect: 'hold', unless_granted: 'production_change' }),
      policy('other', 'true', { effect: 'hold', unless_granted: 'other_change' }),
      policy('failing', 'action.parameters.nothing == 1', { unless_granted: 'production_change' }),
      policy('absolute', 'true'),
    );
    const { violated, passed, lifted } = programs.evaluate(occasion, variables(), {
      lifts: ({ unless_granted: permission }) => permission === 'production_change',
    });
    expect(idsOf(violated)).toEqual(['other', 'absolute']);
    expect(passed).toEqual(['production', 'failing']);
    expect(idsOf(lifted)).toEqual(['production', 'failing']);
  });

  it('nobody is asked for a permission unless a policy would be violated without it', () => {
    const asked: string[] = [];
    programsOf(policy('production', 'false || action.containsPii', { unless_granted: 'production_change' })).evaluate(
      occasion,
      variables(),
      { lifts: ({ unless_granted: permission }) => asked.push(permission ?? '') > 0 },
    );
    expect(asked).toEqual([]);
  });

  it('a policy that is switched off is neither violated nor passed', () => {
    const programs = programsOf(policy('a', 'true'), policy('b', 'true'));
    const { violated, passed } = programs.evaluate(occasion, variables(), { skip: (id) => id === 'a' });
    expect(idsOf(violated)).toEqual(['b']);
    expect(passed).toEqual([]);
  });

  it('what would cost more than one intent may cost counts as violated, and the next intent starts afresh', () => {
    const many = Array.from({ length: 100 }, (_, index) =>
      policy(`p${index}`, `anyParameter(action.parameters, "needle-${index}(x|y)*z")`),
    );
    const programs = programsOf(...many);
    const huge = programs.evaluate(occasion, variables({ parameters: { text: 'hay '.repeat(16_000) } }));
    expect(huge.passed.length).toBeGreaterThan(0);
    expect(huge.violated.length).toBeGreaterThan(0);
    expect(new Set(huge.violated.map(({ failed }) => failed))).toEqual(new Set(['too_much_work']));
    expect(programs.evaluate(occasion, variables({ parameters: { text: 'hay' } })).violated).toEqual([]);
  });
});

describe('one intent costs what its budget pays for, whatever its agent chose', () => {
  /** Ways of reading it: as many as are allowed. */
  const ambiguous = (index: number): string =>
    `${Array.from({ length: 28 }, (_, part) => `h${index}x${part}:u`).join('@')}.example`;
  const destinations = Array.from({ length: 64 }, (_, index) => ambiguous(index));

  /** Variables whose `action.parameters.seen` counts how often a condition looks at it. */
  function counted(action: Partial<PolicyVariables['action']>): { values: PolicyVariables; count: () => number } {
    let count = 0;
    const parameters: Record<string, JsonValue> = { ...action.parameters };
    Object.defineProperty(parameters, 'seen', {
      enumerable: true,
      get: () => {
        count += 1;
        return false;
      },
    });
    return { values: variables({ ...action, parameters }), count: () => count };
  }
  const many = (condition: string): PolicyPrograms =>
    programsOf(...Array.from({ length: 10 }, (_, index) => policy(`p${index}`, condition)));

  it('every evaluation is paid out of the budget of the intent, also of operators; without it a policy counts as violated', () => {
    const { values, count } = counted({ type: 'aBcD_eF.gH', destination: destinations[0] ?? '', destinations });
    const { violated, passed } = many(
      'action.parameters.seen || (action.destination == "a.example" && action.type == "b") || (action.type == "share" && action.destination == "c.example")',
    ).evaluate(occasion, values);
    expect(violated.length + passed.length).toBe(10);
    expect(new Set(violated.map(({ failed }) => failed))).toEqual(new Set(['too_much_work']));
    expect(count()).toBeLessThan(WORK_PER_INTENT / (10 * WORK_PER_STEP));
  });

  it('what looks at a long list pays for each item', () => {
    const list = Array.from({ length: 10_000 }, (_, index) => `item-${index}`);
    const { values, count } = counted({ destination: destinations[0] ?? '', destinations, parameters: { list } });
    const { violated } = many(
      'action.parameters.seen || ("x" in action.parameters.list || action.destination == "a.example")',
    ).evaluate(occasion, values);
    expect(violated.map(({ failed }) => failed)).toContain('too_much_work');
    expect(count()).toBeLessThan(1 + WORK_PER_INTENT / (WORK_PER_STEP * list.length));
  });

  it('what an evaluation has not looked at is not varied', () => {
    const condition = 'action.parameters.seen || (action.environment == "pci" && action.destination == "a.example")';
    const { values, count } = counted({ destination: destinations[0] ?? '', destinations });
    const claims: ClaimReading[] = [
      { claim: 'environment', changes: { action: { environment: 'staging' } } },
      { claim: 'containsPii', changes: { action: { containsPii: true } } },
    ];
    expect(many(condition).evaluate(occasion, values, { claims }).violated).toEqual([]);
    expect(count()).toBe(20);
  });

  it('the same destination is judged once, however often it is named', () => {
    const { values, count } = counted({ destination: 'a', destinations: Array.from({ length: 64 }, () => 'a') });
    programsOf(policy('p', 'action.parameters.seen || action.destination == "b"')).evaluate(occasion, values);
    expect(count()).toBe(1);
  });
});

describe('evaluation never throws and always answers the same', () => {
  const conditions = [
    'action.parameters.amount > 2500',
    'action.containsPii && !inList(action.destination, lists.approvedDestinations)',
    'inList(domainOf(action.destination), lists.approvedDestinations)',
    'anyNotInList(linksIn(action.parameters), lists.approvedDestinations)',
    'anyParameter(action.parameters, "(a+)+$")',
    'matches(action.destination, action.parameters.pattern)',
    'glob(action.destination, action.parameters.pattern)',
    'size(action.parameters) > 3 || action.parameters.list[1] == "x"',
    'double(action.parameters.amount) / action.parameters.count > 0.5',
    'has(action.parameters.a) && action.parameters.a.b.c == action.parameters.a',
    'action.parameters.a + action.parameters.b == "x"',
    'action.parameters.a in action.parameters.list',
    'string(action.parameters.a).contains("x") ? action.containsPii : !action.containsPii',
  ];
  const programs = programsOf(...conditions.map((condition, index) => policy(`p${index}`, condition)));
  const keys = fc.oneof(
    fc.constantFrom('amount', 'count', 'pattern', 'list', 'a', 'b', 'c', 'constructor', '__proto__', 'toString'),
    fc.string(),
  );
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false, '', 'nan', 'x', 'https://a\\@b', '(a+)+$', '('),
      fc.string({ unit: 'binary' }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.array(tie('json'), { maxLength: 4 }),
      fc.dictionary(keys, tie('json'), { maxKeys: 5 }),
    ),
  }));
  const parameters = fc.dictionary(keys, json, { maxKeys: 6 }) as fc.Arbitrary<Record<string, JsonValue>>;

  it('whatever the parameters and the destination, each policy is violated or passed', () => {
    fc.assert(
      fc.property(parameters, fc.string({ unit: 'binary' }), fc.boolean(), (given, destination, containsPii) => {
        const values = variables({ parameters: given, destination, containsPii });
        const first = programs.evaluate(occasion, values);
        expect([...idsOf(first.violated), ...first.passed].sort()).toEqual(
          conditions.map((_, index) => `p${index}`).sort(),
        );
        expect(programs.evaluate(occasion, values)).toEqual(first);
      }),
      { numRuns: 500 },
    );
  });
});

describe('an expression written to do harm is refused at load', () => {
  it.each([
    ['not after not', `${'!'.repeat(1_900)}true`],
    ['minus after minus', `${'-'.repeat(1_900)}1 > 0`],
    ['brackets in brackets', `${'('.repeat(990)}true${')'.repeat(990)}`],
    ['lists in lists', `${'['.repeat(900)}${']'.repeat(900)} == []`],
    ['questions in questions', `${'true ? '.repeat(200)}true${' : true'.repeat(200)}`],
    ['sums without end', `${'action.type + '.repeat(130)}"" == ""`],
    ['ors without end', `${'action.containsPii || '.repeat(90)}true`],
    ['a long list', `action.type in [${'"a",'.repeat(400)}"b"]`],
    ['a long text', `action.type == "${'a'.repeat(3_000)}"`],
    ['a text without end', `action.type == "${'\\\\'.repeat(500)}`],
    ['loops in loops', `${'facts.pii.exists(x, '.repeat(8)}true${')'.repeat(8)}`],
    ['a call with many values', `inList(${'action.type,'.repeat(60)} lists.approvedDestinations)`],
    ['fields of fields', `action.parameters${'.a'.repeat(300)} == 1`],
  ])('%s', (_, expression) => {
    expect(compilePolicies([policy('harm', expression)], { lists }).ok).toBe(false);
  });

  it('any text at all is accepted or refused with a code and a place, never thrown', () => {
    const words = fc.constantFrom(
      ...'action . type parameters context localHour lists approvedDestinations facts pii ( ) [ ] { } , : ? && || ! - + * / % == != < > in "a" 1 2.5 true null inList matches has size all map x'.split(
        ' ',
      ),
    );
    const texts = fc.oneof(
      fc.array(words, { maxLength: 30 }).map((list) => list.join(' ')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(texts, (expression) => {
        const compiled = compilePolicies([policy('any', expression)], { lists });
        if (compiled.ok) return;
        for (const { code, offset } of compiled.problems) {
          expect(code).toMatch(/^REMIT_CHARTER_EXPRESSION_[A-Z_]+$/);
          expect(offset).toBeGreaterThanOrEqual(0);
          expect(offset).toBeLessThanOrEqual(expression.length);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('the problems of all policies are listed together', () => {
    const compiled = compilePolicies(
      [policy('a', 'acton.type == ""'), policy('b', 'action.type'), policy('c', 'true')],
      { lists },
    );
    expect(compiled.ok ? [] : compiled.problems.map((problem) => problem.policy)).toEqual(['a', 'b']);
  });
});
