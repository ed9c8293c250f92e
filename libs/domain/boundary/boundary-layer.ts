import type { JudgingInput, LayerJudgement, RawFinding } from '../decision/layer.js';
import { effectiveClassification } from './boundary-rules.js';
import { localTimeIn } from './local-time.js';

/** What an agent can never do, whoever lets it. */
export function judgeBoundaries({ intent, judgedAt, charter }: JudgingInput): LayerJudgement {
  const { action } = intent;
  const classification = effectiveClassification(
    charter.classifications,
    charter.systems.get(action.target),
    action.dataClassification,
  );
  const subject = { action, judgedAt, classification };
  const findings: RawFinding[] = [];
  const passed: string[] = [];
  const facts: Record<string, unknown> = {};
  if (classification !== undefined) facts['classification'] = classification.name;
  let localTime: Record<string, string> | undefined;
  for (const rule of charter.boundariesOf(intent.agentId)) {
    if (!rule.applies(action)) continue;
    if (rule.timezone !== undefined) {
      localTime ??= facts['localTime'] = {} as Record<string, string>;
      localTime[rule.timezone] = localTimeIn(rule.timezone, judgedAt).text;
    }
    const reason = rule.breach(subject);
    if (reason === undefined) passed.push(rule.id);
    else findings.push({ rule: rule.id, effect: 'violation', severity: 'critical', reason, immutable: true });
  }
  return { findings, passed, facts };
}
