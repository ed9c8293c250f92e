/** Values that a label is compared with; none where it is only grouped by. */
export interface NamedLabel {
  readonly label: string;
  readonly values: readonly string[];
}

export interface NamedMetric {
  readonly metric: string;
  readonly labels: readonly NamedLabel[];
}

const WORDS = new Set(['or', 'and', 'unless', 'offset', 'bool', 'by', 'without', 'on', 'ignoring']);
const GROUPING = /\b(?:by|on|ignoring|without)\s*\(([^)]*)\)/g;
const SELECTOR = /([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g;
const MATCHER = /(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g;

/**
 * The metrics that a PromQL expression asks for, with the labels it selects them by, and what it groups by. Reads what
 * our dashboards and rules use of the language: no quoted names, no strings outside of selectors.
 */
export function namesIn(expression: string): { metrics: NamedMetric[]; groupedBy: string[] } {
  const groupedBy = [...expression.matchAll(GROUPING)].flatMap(([, labels = '']) =>
    labels.split(',').map((label) => label.trim()),
  );
  const metrics: NamedMetric[] = [];
  const rest = expression
    .replaceAll(GROUPING, ' ')
    .replaceAll(SELECTOR, (_, metric: string, matchers: string) => {
      const labels = [...matchers.matchAll(MATCHER)].map(([, label = '', value = '']) => ({
        label,
        values: value === '' ? [] : value.split('|'),
      }));
      metrics.push({ metric, labels });
      return ' ';
    })
    .replaceAll(/\[[^\]]*\]/g, ' ')
    .replaceAll(/offset \w+/g, ' ');
  for (const [, name = ''] of rest.matchAll(/(?<![\w.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])/g)) {
    if (!WORDS.has(name)) metrics.push({ metric: name, labels: [] });
  }
  return { metrics, groupedBy };
}
