/** What judges, in the order of the layers, as `service: span`; the last of them decides. */
export interface Judges {
  readonly spans: readonly string[];
  readonly decides: string;
}

/** The processes of Remit that leave a span on an intent, in each shape. */
export const JUDGES = {
  'one process': { spans: ['remit-standalone: process agent.actions'], decides: 'remit-standalone' },
  'five services': {
    spans: [
      'remit-boundary: process agent.actions',
      'remit-permission: process governance.boundary-checked',
      'remit-verifier: process governance.permission-checked',
      'remit-policy: process governance.scope-verified',
    ],
    decides: 'remit-policy',
  },
} as const satisfies Record<string, Judges>;

export type Shape = keyof typeof JUDGES;

/** The trace of the story "who is responsible?", as {@link treeOf} prints it: three agents, four intents, one denial. */
export function whoIsResponsibleTree({ spans, decides }: Judges): string[] {
  const at = (depth: number, line: string): string => `${'  '.repeat(depth)}${line}`;
  const judged = (depth: number): string[] =>
    ['agents: send agent.actions', ...spans, `${decides}: send agent.decisions`].map((line, i) => at(depth + i, line));
  const turn = (depth: number, agent: string): string[] => [
    at(depth, `agents: invoke_agent ${agent}`),
    ...judged(depth + 1),
  ];
  const acts = (depth: number, type: string): string[] => [
    at(depth, `agents: execute_tool ${type}`),
    at(depth + 1, 'agents: send agent.outcomes'),
  ];
  return [
    ...turn(0, 'TriageAgent'),
    ...acts(1, 'delegate'),
    ...turn(2, 'DiagnosisAgent'),
    ...acts(3, 'delegate'),
    ...turn(4, 'RemediationAgent'),
    ...acts(5, 'restart'),
    ...turn(4, 'RemediationAgent'),
  ];
}
