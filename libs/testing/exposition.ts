import {
  METRICS,
  prometheusLabelOf,
  prometheusNameOf,
  type ExpositionFormat,
  type MetricDeclaration,
} from '#telemetry';

export interface ExposedSample {
  /** With `_bucket`, `_total` and the like. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar: { readonly labels: Readonly<Record<string, string>>; readonly value: number } | undefined;
}

export interface ExposedFamily {
  readonly name: string;
  readonly type: string;
  readonly unit: string | undefined;
  readonly help: string;
  readonly samples: readonly ExposedSample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABELS = String.raw`\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\}`;
const NUMBER = String.raw`[-+]?(?:Inf|NaN|[0-9.]+(?:e[-+]?[0-9]+)?)`;
const SAMPLE = new RegExp(`^(${NAME})(${LABELS})? (${NUMBER})(?: # (${LABELS}) (${NUMBER})(?: (${NUMBER}))?)?$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/g;
const ESCAPED: Readonly<Record<string, string>> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

/** What a sample of each type may have behind the family's name. */
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  info: ['_info'],
};

/** Reads an exposition as strictly as its format is defined. Throws at the first line that is not allowed. */
export function readExposition(text: string, format: ExpositionFormat): readonly ExposedFamily[] {
  const lines = text.split('\n');
  must(lines.pop() === '', 'the last line must end');
  if (format === 'openmetrics') must(lines.pop() === '# EOF', 'the last line must be # EOF');
  const families: (Omit<ExposedFamily, 'samples'> & { samples: ExposedSample[] })[] = [];
  for (const line of lines) {
    const metadata = /^# (TYPE|UNIT|HELP) (\S+) (.*)$/.exec(line);
    if (metadata === null) {
      const family = families.at(-1);
      must(family !== undefined, `a sample before any family: ${line}`);
      family.samples.push(sampleOf(line, family, format));
      continue;
    }
    const [, kind, name = '', rest = ''] = metadata;
    if (kind === 'TYPE') {
      must(!families.some((family) => family.name === name), `${name} comes twice`);
      families.push({ name, type: rest, unit: undefined, help: '', samples: [] });
      continue;
    }
    const family = families.at(-1);
    must(family?.name === name && family.samples.length === 0, `${kind ?? ''} of ${name} is out of place`);
    if (kind === 'UNIT') {
      must(format === 'openmetrics' && name.endsWith(`_${rest}`), `${name} does not end with its unit ${rest}`);
    }
    families[families.length - 1] = { ...family, ...(kind === 'UNIT' ? { unit: rest } : { help: rest }) };
  }
  for (const family of families) checkFamily(family);
  return families;
}

function sampleOf(
  line: string,
  { name, type }: { name: string; type: string },
  format: ExpositionFormat,
): ExposedSample {
  const match = SAMPLE.exec(line);
  must(match !== null, `not a sample: ${line}`);
  const [, sample = '', labels, value = '', exemplar, exemplarValue = ''] = match;
  const family = format === 'prometheus' && type === 'counter' ? name.replace(/_total$/, '') : name;
  const suffixes = format === 'prometheus' && name === 'target_info' ? [''] : (SUFFIXES[type] ?? []);
  must(
    suffixes.some((suffix) => sample === family + suffix),
    `${sample} is no sample of the ${type} ${name}`,
  );
  must(exemplar === undefined || (format === 'openmetrics' && sample.endsWith('_bucket')), `no exemplar here: ${line}`);
  return {
    name: sample,
    labels: labelsIn(labels),
    value: numberIn(value),
    exemplar: exemplar === undefined ? undefined : { labels: labelsIn(exemplar), value: numberIn(exemplarValue) },
  };
}

function labelsIn(text = ''): Record<string, string> {
  const pairs = [...text.matchAll(LABEL)].map(([, name = '', value = '']) => {
    return [name, value.replaceAll(/\\["\\n]/g, (escaped) => ESCAPED[escaped] ?? escaped)] as const;
  });
  const labels = Object.fromEntries(pairs);
  must(Object.keys(labels).length === pairs.length, `a label comes twice: ${text}`);
  return labels;
}

function numberIn(text: string): number {
  return text.endsWith('Inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}

/** No series twice; buckets in order, never falling, the last one `+Inf` and equal to the count. */
function checkFamily({ name, type, help, samples }: ExposedFamily): void {
  must(help !== '', `${name} has no help`);
  must(samples.length > 0, `${name} has no sample`);
  const series = samples.map((sample) => `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`);
  must(new Set(series).size === series.length, `${name} has a series twice`);
  if (type !== 'histogram') return;
  const seriesOf = ({ labels: { le: _, ...labels } }: ExposedSample): string => JSON.stringify(labels);
  for (const [labels, of] of Map.groupBy(samples, seriesOf)) {
    const buckets = of.filter((sample) => sample.name.endsWith('_bucket'));
    const count = of.find((sample) => sample.name.endsWith('_count'))?.value;
    let [bound, soFar] = [-Infinity, 0];
    for (const { labels: own, value, exemplar } of buckets) {
      const le = numberIn(own['le'] ?? '');
      must(le > bound && value >= soFar, `${name}${labels} has buckets out of order`);
      must(exemplar === undefined || (exemplar.value <= le && exemplar.value > bound), `${name}${labels}: exemplar`);
      [bound, soFar] = [le, value];
    }
    must(bound === Infinity && soFar === count, `${name}${labels}: the last bucket must be +Inf, and the count`);
  }
}

function must(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new Error(problem);
}

/**
 * How an OpenMetrics exposition, or several of one system, differs from the table: metrics of it that are not exposed,
 * and what is exposed without being in it - families, attributes, or values of attributes that are listed there.
 */
export function differencesFromMetricTable(...expositions: readonly string[]): {
  readonly missing: readonly string[];
  readonly undeclared: readonly string[];
} {
  const declared = new Map<string, MetricDeclaration>(
    Object.values<MetricDeclaration>(METRICS).map((metric) => [prometheusNameOf(metric).family, metric]),
  );
  const families = expositions.flatMap((text) => readExposition(text, 'openmetrics'));
  const exposed = new Set(families.map(({ name }) => name));
  const undeclared = new Set<string>();
  for (const { name, type, samples } of families) {
    if (name === 'target') continue;
    const metric = declared.get(name);
    if (metric?.instrument !== type) undeclared.add(name);
    else for (const { labels } of samples) for (const what of strangeLabels(labels, metric)) undeclared.add(what);
  }
  return {
    missing: [...declared.keys()].filter((family) => !exposed.has(family)),
    undeclared: [...undeclared],
  };
}

function strangeLabels(labels: ExposedSample['labels'], { name, attributes }: MetricDeclaration): string[] {
  return Object.entries(labels).flatMap(([label, value]) => {
    if (label === 'le') return [];
    const attribute = attributes.find((one) => prometheusLabelOf(one.name) === label);
    if (attribute === undefined) return [`${name}: ${label}`];
    const isListed = typeof attribute.values === 'string' || attribute.values.includes(value);
    return isListed ? [] : [`${name}: ${label}="${value}"`];
  });
}
