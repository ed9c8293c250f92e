import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import { claimedClassification } from './effective-classification.js';
import { localTimeIn } from './local-time.js';

/** What an agent can never do, whoever lets it. */
export function judgeBoundaries({ intent, judgedAt, charter }: JudgingInput): LayerJudgement {
  const { action } = intent;
  const target = charter.systems.get(action.target);
  const entry = target?.classification ?? charter.classifications.strictest;
  const claimed = claimedClassification(charter.classifications, entry, action.dataClassification);
  const subject = { action, judgedAt, data: { entry, knownTarget: target !== undefined, claimed } };
  const findings: RawFinding[] = [];
  const passed: string[] = [];
  const facts: Record<string, unknown> = { classification: (claimed ?? entry).name };
  let localTime: Record<string, string> | undefined;
  for (const rule of charter.boundariesOf(intent.agentId)) {
    if (!rule.applies(action)) continue;
    if (rule.timezone !== undefined) {
      localTime ??= facts['localTime'] = {} as Record<string, string>;
      localTime[rule.timezone] = localTimeIn(rule.timezone, judgedAt).text;
    }
    const breach = rule.breach(subject);
    if (breach === undefined) {
      passed.push(rule.id);
      continue;
    }
    const { reason, claims } = breach;
    const finding: RawFinding = { rule: rule.id, effect: 'violation', severity: 'critical', reason, immutable: true };
    findings.push(claims === undefined ? finding : { ...finding, claims: [...claims] });
  }
  return { findings, passed, facts };
}
