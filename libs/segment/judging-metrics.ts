import type { Finding, Layer } from '#domain';
import {
  exemplarTraceAt,
  exemplarTraceOf,
  FAIL_CLOSED_REASONS,
  LAYER_TIMES_PER_BATCH,
  METRICS,
  type Metrics,
  type SamplingTerms,
  type SpanContext,
} from '#telemetry';
import type { Judged, JudgingWatch } from './judged.js';
import { placeOfJudged } from './judging-trace.js';

/**
 * Counts findings and what failed closed, and times layers, for a segment that judges thousands of intents a second.
 * `sampling`: which intents this process traces; without it, it traces none.
 */
export function measureJudging(metrics: Metrics, sampling?: SamplingTerms): JudgingWatch {
  const findings = metrics.tally(METRICS.findings);
  const failClosed = metrics.tally(METRICS.failClosed);
  const layerDuration = metrics.histogram(METRICS.layerDuration);
  const reasons: ReadonlySet<string> = new Set(FAIL_CLOSED_REASONS);
  // what has not happened yet is seen as 0: only then is the first time a rise
  for (const reason of reasons) metrics.counter(METRICS.failClosed).add(0, { 'remit.reason': reason });

  function countFinding(layer: Layer, finding: Finding): void {
    const { rule, effect, severity, enforced, notEnforced = 'observe' } = finding;
    const mode = enforced ? 'enforced' : notEnforced;
    findings.count(`${rule}\n${layer}\n${mode}\n${effect}\n${severity}`, () => ({
      'remit.rule': rule,
      'remit.layer': layer,
      'remit.mode': mode,
      'remit.effect': effect,
      'remit.severity': severity,
    }));
  }

  /** One intent counts once for each reason, however many layers say so, in this process or before it. */
  function isToldAlready({ subject, layers }: Judged, layerIndex: number, rule: string): boolean {
    const before = subject.verdicts.slice(0, subject.verdicts.length - layers.length + layerIndex);
    return before.some((verdict) => verdict.findings.some((finding) => finding.rule === rule));
  }

  function countFindings(judged: Judged): void {
    for (let index = 0; index < judged.layers.length; index += 1) {
      const { layer, verdict } = judged.layers[index] as Judged['layers'][number];
      for (const finding of verdict.findings) {
        const { rule, enforced } = finding;
        countFinding(layer, finding);
        if (enforced && reasons.has(rule) && !isToldAlready(judged, index, rule)) {
          failClosed.count(rule, () => ({ 'remit.reason': rule }));
        }
      }
    }
  }

  /** Agents may say nothing of traces: then the intent's own span is the first. */
  function traceOf(judged: Judged): SpanContext | undefined {
    if (sampling === undefined) return exemplarTraceOf(judged.message.headers);
    const place = placeOfJudged(judged, sampling);
    return place && exemplarTraceAt(place);
  }

  function timeLayers(judged: Judged): void {
    const trace = traceOf(judged);
    for (const { layer, ms } of judged.layers) layerDuration.record(ms / 1000, { 'remit.layer': layer }, trace);
  }

  return {
    judged: () => undefined,
    finished(_batch, judged) {
      for (const one of judged) countFindings(one);
      const step = Math.max(1, judged.length / LAYER_TIMES_PER_BATCH);
      for (let at = 0; at < judged.length; at += step) timeLayers(judged[Math.floor(at)] as Judged);
    },
  };
}
