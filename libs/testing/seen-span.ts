/** A span as it arrived somewhere: at a collector, or in Jaeger. */
export interface SeenSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** `undefined`: the first of its trace. */
  readonly parentId: string | undefined;
  readonly name: string;
  readonly kind: string;
  /** ms since the epoch. */
  readonly began: number;
  readonly ended: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly events: readonly {
    readonly name: string;
    readonly attributes: Readonly<Record<string, string | number | boolean>>;
  }[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** What its status says when it is an error. */
  readonly error: string | undefined;
}

/** A trace as a tree: each line `service: name`, indented by its depth, children in the order they began. */
export function treeOf(spans: readonly SeenSpan[]): string[] {
  const lines: string[] = [];
  const add = (span: SeenSpan, depth: number): void => {
    lines.push(`${'  '.repeat(depth)}${span.service}: ${span.name}`);
    for (const child of childrenOf(spans, span)) add(child, depth + 1);
  };
  for (const root of rootsOf(spans)) add(root, 0);
  return lines;
}

/** Spans without a parent. */
export function rootsOf(spans: readonly SeenSpan[]): SeenSpan[] {
  return spans.filter(({ parentId }) => parentId === undefined);
}

/** Spans whose parent is not among them. */
export function orphansOf(spans: readonly SeenSpan[]): SeenSpan[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  return spans.filter(({ parentId }) => parentId !== undefined && !ids.has(parentId));
}

/** How many spans lie one under the other at most. */
export function depthOf(spans: readonly SeenSpan[]): number {
  const depth = (span: SeenSpan): number => 1 + Math.max(0, ...childrenOf(spans, span).map((child) => depth(child)));
  return Math.max(0, ...rootsOf(spans).map(depth));
}

function childrenOf(spans: readonly SeenSpan[], { spanId }: SeenSpan): SeenSpan[] {
  return spans.filter(({ parentId }) => parentId === spanId).sort((a, b) => a.began - b.began);
}

/** The intents of a trace with the intent that led to each, as its spans hang: what the record must say as well. */
export function causesIn(spans: readonly SeenSpan[]): { intentId: string; cause: string | null }[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const causeOf = (span: SeenSpan): string | null => {
    const parent = span.parentId === undefined ? undefined : byId.get(span.parentId);
    if (parent === undefined) return null;
    return parent.name.startsWith('execute_tool ') ? String(parent.attributes['remit.intent.id']) : causeOf(parent);
  };
  return spans
    .filter(({ name }) => name === 'send agent.actions')
    .sort((a, b) => a.began - b.began)
    .map((span) => ({ intentId: String(span.attributes['remit.intent.id']), cause: causeOf(span) }));
}
