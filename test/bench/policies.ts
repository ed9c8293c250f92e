import { compilePolicies, detectPii, type PolicyPrograms, type PolicyStatement, type PolicyVariables } from '#domain';
import { figure, figureTable, median, type Figure } from './figure.js';

const SIZES = [6, 100, 1_000] as const;
const ROUNDS = 5;
const WARM_UP_ROUNDS = 1;
/** Long against the steps in which the system counts a thread's time. */
const MEASURED_MICROSECONDS = 100_000;

const ACTIONS = ['read', 'update', 'insert', 'transfer', 'export', 'unlock_account', 'send', 'migrate'];
const SYSTEMS = ['ledger', 'reporting', 'accounts', 'crm', 'warehouse', 'admin-panel'];
const APPROVED = ['warehouse', 'reporting', '*.bank.example'];

type Occasion = { readonly actionType: string; readonly systems: readonly string[]; readonly agentId: string };

/** A policy as the charter has it, and the plain function that would do the same: the floor. */
interface Twin {
  readonly statement: PolicyStatement;
  readonly applies: (occasion: Occasion) => boolean;
  readonly violated: (values: PolicyVariables) => boolean;
}

function twin(
  id: string,
  condition: string,
  violated: Twin['violated'],
  scope?: { actions?: string[]; systems?: string[] },
): Twin {
  const { actions, systems } = scope ?? {};
  return {
    statement: { id, severity: 'critical', violated_when: condition, effect: 'deny', reason: id, scope },
    applies: ({ actionType, systems: reached }) =>
      (actions === undefined || actions.includes(actionType)) &&
      (systems === undefined || reached.some((system) => systems.includes(system))),
    violated,
  };
}

function isApproved(destination: string): boolean {
  return APPROVED.includes(destination) || destination.endsWith('.bank.example');
}

/** What most charters begin with. */
const SHIPPED: readonly Twin[] = [
  twin(
    'data-privacy',
    'action.containsPii && !inList(action.destination, lists.approved)',
    ({ action }) => action.containsPii && !isApproved(action.destination),
  ),
  twin('pii-export', 'action.containsPii', ({ action }) => action.containsPii, { actions: ['export', 'send'] }),
  twin(
    'access-control',
    '!(context.localHour >= 9 && context.localHour < 17) && !context.offHoursAllowed',
    ({ context }) => !(context.localHour >= 9 && context.localHour < 17) && !context.offHoursAllowed,
  ),
  twin(
    'production-data-modification',
    'action.environment == "production"',
    ({ action }) => action.environment === 'production',
    { actions: ['update', 'insert', 'migrate'] },
  ),
  twin(
    'time-window',
    'context.localWeekday in ["sat", "sun"]',
    ({ context }) => context.localWeekday === 'sat' || context.localWeekday === 'sun',
  ),
  twin(
    'approval-workflow',
    'action.parameters.amount > 2500',
    ({ action }) => Number(action.parameters['amount']) > 2500,
    { actions: ['transfer'] },
  ),
];

/** Policies of one action on one system each, as large charters have them. */
function scoped(index: number): Twin {
  const scope = {
    actions: [ACTIONS[index % ACTIONS.length] ?? ''],
    systems: [SYSTEMS[Math.floor(index / ACTIONS.length) % SYSTEMS.length] ?? ''],
  };
  const limit = 100 + index;
  return index % 2 === 0
    ? twin(
        `limit-${index}`,
        `has(action.parameters.amount) && action.parameters.amount > ${limit}`,
        ({ action }) => action.parameters['amount'] !== undefined && Number(action.parameters['amount']) > limit,
        scope,
      )
    : twin(
        `destination-${index}`,
        'action.destination != "" && !inList(action.destination, lists.approved) && context.localHour < 6',
        ({ action, context }) => action.destination !== '' && !isApproved(action.destination) && context.localHour < 6,
        scope,
      );
}

interface Given {
  readonly occasion: Occasion;
  readonly values: PolicyVariables;
}

function givenIntents(): readonly Given[] {
  return Array.from({ length: 96 }, (_, index) => {
    const actionType = ACTIONS[index % ACTIONS.length] ?? '';
    const target = SYSTEMS[(index * 5) % SYSTEMS.length] ?? '';
    const agentId = `agent-${index % 12}`;
    return {
      occasion: { actionType, systems: [target], agentId },
      values: {
        action: {
          type: actionType,
          target,
          parameters: {
            amount: 40 * index,
            currency: 'USD',
            note: 'monthly settlement',
            reference: `INV-2026-${index}`,
          },
          destination: ['warehouse', 'api.bank.example', 'partner.example', ''][index % 4] ?? '',
          destinations: ['warehouse', 'api.bank.example', 'partner.example', ''].slice(index % 4, (index % 4) + 1),
          dataClassification: 'internal',
          integration: '',
          environment: index % 3 === 0 ? 'production' : '',
          containsPii: index % 5 === 0,
          allowOffHours: false,
        },
        context: {
          agentId,
          onBehalfOf: 'ann',
          chainId: `chain-${index}`,
          triggerType: 'schedule',
          hasCause: false,
          localHour: index % 24,
          localMinute: 30,
          localWeekday: 'tue',
          offHoursAllowed: false,
          stage: 'enforce',
        },
        facts: { pii: [], piiPlaces: [], integrations: [], classification: 1 },
        agent: { owner: 'finops', purpose: 'moves money' },
      },
    };
  });
}

function cpuMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** CPU µs of this thread per intent: a machine that does other things at the same time disturbs it little. */
function costOf(judge: (given: Given) => number, intents: readonly Given[]): number {
  let answers = 0;
  let judged = 0;
  const started = cpuMicroseconds();
  let spent = 0;
  while (spent < MEASURED_MICROSECONDS) {
    for (const given of intents) answers += judge(given);
    judged += intents.length;
    spent = cpuMicroseconds() - started;
  }
  if (answers === 0) throw new Error('nothing was found: there is nothing to compare');
  return spent / judged;
}

/** The medians of rounds that alternate between the two ways. */
function compare(
  intents: readonly Given[],
  ways: readonly [(given: Given) => number, (given: Given) => number],
): [number, number] {
  const costs: [number[], number[]] = [[], []];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    for (const way of [0, 1] as const) {
      const cost = costOf(ways[way], intents);
      if (round >= WARM_UP_ROUNDS) costs[way].push(cost);
    }
  }
  return [median(costs[0]), median(costs[1])];
}

function programsOf(twins: readonly Twin[]): PolicyPrograms {
  const compiled = compilePolicies(
    twins.map(({ statement }) => statement),
    { lists: { approved: APPROVED } },
  );
  if (!compiled.ok) throw new Error(compiled.problems.map(({ policy, message }) => `${policy}: ${message}`).join('\n'));
  return compiled.programs;
}

/** An intent that can be read in as many ways as its agent may choose. */
function mostSpellings(count: number): Given {
  const [given] = givenIntents();
  if (given === undefined) throw new Error('there are no intents');
  const destinations = Array.from(
    { length: count },
    (_, index) => `${Array.from({ length: 28 }, (__, part) => `h${index}x${part}:u`).join('@')}.example`,
  );
  const action = { ...given.values.action, type: 'aBcD_eF.gH', destination: destinations[0] ?? '', destinations };
  return { ...given, values: { ...given.values, action } };
}

/** Ten policies, each of which looks at destination and verb. */
function hostilePrograms(): PolicyPrograms {
  return programsOf(
    Array.from({ length: 10 }, (_, index) =>
      twin(
        `paste-${index}`,
        `(action.destination == "paste${index}.example" && action.type == "share") || (action.type == "post" && action.destination == "x")`,
        () => false,
      ),
    ),
  );
}

/** Evaluation of policies beside a plain function for each, and detection of personal data beside reading its JSON. */
export function measurePolicies(): Figure[] {
  const intents = givenIntents();
  const figures = SIZES.map((size) => {
    const twins = [...SHIPPED, ...Array.from({ length: size - SHIPPED.length }, (_, index) => scoped(index))];
    const programs = programsOf(twins);
    const byExpressions = ({ occasion, values }: Given): number => programs.evaluate(occasion, values).violated.length;
    const byFunctions = ({ occasion, values }: Given): number => {
      const violated: string[] = [];
      for (const { statement, applies, violated: isViolated } of twins) {
        if (applies(occasion) && isViolated(values)) violated.push(statement.id);
      }
      return violated.length;
    };
    for (const given of intents) {
      if (byExpressions(given) !== byFunctions(given)) throw new Error('the two ways disagree');
    }
    const [ours, floor] = compare(intents, [byExpressions, byFunctions]);
    return figure(`${size} policies`, ours, 'CPU µs per intent', 'a plain TypeScript function for each', floor);
  });
  const [hostile, plain] = [mostSpellings(64), mostSpellings(1)];
  const crossing = hostilePrograms();
  const [most, least] = compare(
    [hostile],
    [
      ({ occasion, values }) => 1 + crossing.evaluate(occasion, values).violated.length,
      () => 1 + crossing.evaluate(plain.occasion, plain.values).violated.length,
    ],
  );
  const spelt = figure('64 ambiguous destinations', most, 'CPU µs per intent', 'one of them', least);
  const texts = new Map(intents.map((given) => [given, JSON.stringify(given.values.action.parameters)]));
  const [detecting, reading] = compare(intents, [
    ({ values }) => 1 + detectPii(values.action.parameters).length,
    (given) => Object.keys(JSON.parse(texts.get(given) ?? '') as object).length,
  ]);
  return [
    ...figures,
    spelt,
    figure('personal data', detecting, 'CPU µs per intent', 'JSON.parse of the parameters', reading),
  ];
}

if (process.argv[1] === import.meta.filename) {
  const figures = measurePolicies();
  if (process.argv.includes('--json')) for (const one of figures) process.stdout.write(`${JSON.stringify(one)}\n`);
  else process.stdout.write(`${figureTable(figures)}\n`);
}
