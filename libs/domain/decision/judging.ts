import { judgeBoundaries } from '../boundary/boundary-layer.js';
import { judgePermissions } from '../permission/permission-layer.js';
import { stillOpen } from '../permission/second-round.js';
import { judgePolicies } from '../policy/policy-layer.js';
import { judgeScope } from '../verification/verification-layer.js';
import type { Charter } from '../charter/charter.js';
import type { Finding, Layer, Verdict } from './decision.js';
import type { JudgingInput, LayerJudgement, RawFinding } from './layer.js';

const JUDGES: Readonly<Record<Layer, (input: JudgingInput) => LayerJudgement>> = {
  boundary: judgeBoundaries,
  permission: judgePermissions,
  verification: judgeScope,
  policy: judgePolicies,
};

/** The kinds of error of the language. Whatever else an error says of itself may quote what was judged. */
const ERROR_KINDS: ReadonlySet<string> = new Set([
  'EvalError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'TypeError',
  'URIError',
]);

/** Says whether a finding counts here: stage first, then the rule's own rollout. */
function inForce(raw: RawFinding, charter: Charter): Finding {
  const { immutable, ...finding } = raw;
  if (charter.stage === 'observe') return { ...finding, enforced: false, notEnforced: 'observe' };
  if (immutable !== true && charter.modeOf(raw.rule) === 'shadow') {
    return { ...finding, enforced: false, notEnforced: 'shadow' };
  }
  return { ...finding, enforced: true };
}

/** Names the kind of the error and never quotes it: a decision cannot be erased. */
function layerError(layer: Layer, error: unknown): RawFinding {
  const kind = error instanceof Error && ERROR_KINDS.has(error.name) ? error.name : 'another error';
  const reason = `the ${layer} layer failed, so nothing is allowed: ${kind}`;
  return { rule: 'layer-error', effect: 'violation', severity: 'critical', reason, immutable: true };
}

/** One layer's verdict on an intent. Never throws: an error inside the layer is a violation. */
export function judge(layer: Layer, input: JudgingInput): Verdict {
  try {
    const { findings, passed, facts } = JUDGES[layer](input);
    return { layer, findings: findings.map((raw) => inForce(stillOpen(raw, input), input.charter)), passed, facts };
  } catch (error) {
    return { layer, findings: [inForce(layerError(layer, error), input.charter)], passed: [], facts: {} };
  }
}

/** What a layer's process adds when judging itself fails, outside every rule: a violation, so nothing is allowed. */
export function withLayerError(verdict: Verdict, error: unknown, charter: Charter | undefined): Verdict {
  const { rule, reason, ...raw } = layerError(verdict.layer, error);
  const finding = charter === undefined ? denial(rule, reason) : inForce({ ...raw, rule, reason }, charter);
  return { ...verdict, findings: [...verdict.findings, finding] };
}

function denial(rule: string, reason: string): Finding {
  return { rule, effect: 'violation', severity: 'critical', reason, enforced: true };
}

/** Without a charter the boundary layer denies for all: nothing is allowed by default. */
export function judgeWithoutCharter(layer: Layer): Verdict {
  const findings =
    layer === 'boundary' ? [denial('no-active-charter', 'no charter is active, so nothing is allowed')] : [];
  return { layer, findings, passed: [], facts: {} };
}

/**
 * Why a layer has nothing to judge an intent by. `not-kept`: what was in force when it was appended is no
 * longer kept, because that is so long ago, or because the log has lost some of it. `charter-differs`: at the position of the stamp lies another charter than it names.
 */
export const WITHOUT_FACTS = ['not-kept', 'charter-differs'] as const;
export type WithoutFacts = (typeof WITHOUT_FACTS)[number];

const WITHOUT_FACTS_REASONS: Readonly<Record<WithoutFacts, string>> = {
  'not-kept':
    'the charter and permissions of the moment it was appended are not kept: it is judged too late, or the log has lost ' +
    'some of them. Send it again',
  'charter-differs': 'this engine does not find the charter that the first layer has judged by',
};

/** A layer that does not know what was in force denies, whatever the layers before it said. */
export function judgeWithoutFacts(layer: Layer, why: WithoutFacts): Verdict {
  return { layer, findings: [denial(why, WITHOUT_FACTS_REASONS[why])], passed: [], facts: {} };
}
