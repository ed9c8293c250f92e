import type { ChainTree } from '#domain';
import type { History, HistoryEntry } from '#record';

const ENTRIES_A_PAGE = 1000;
/** An agent may have sent any number of messages in one chain: the traces of the first ones will do. */
const PAGES = 50;
/** So many are printed; the JSON has all. */
const LINES = 20;

/** A trace that a chain is part of. Times are RFC 3339: of the first and the last message of the chain in it. */
export interface ChainTrace {
  readonly traceId: string;
  /** `null`: nobody has said where Jaeger is. */
  readonly url: string | null;
  readonly from: string;
  readonly to: string;
}

/**
 * Every trace in which one of the chain's first 50,000 messages, or a report about its actions, travelled, in the order
 * of their first messages.
 */
export async function readChainTraces(
  history: Pick<History, 'search' | 'aboutIntents'>,
  { chainId, actions }: Pick<ChainTree, 'chainId' | 'actions'>,
  jaegerUrl: string | undefined,
): Promise<ChainTrace[]> {
  const spans = new Map<string, { from: number; to: number }>();
  const note = ({ traceId, appendTime }: HistoryEntry): void => {
    if (traceId === null) return;
    const { from, to } = spans.get(traceId) ?? { from: appendTime, to: appendTime };
    spans.set(traceId, { from: Math.min(from, appendTime), to: Math.max(to, appendTime) });
  };
  let after: HistoryEntry | undefined;
  for (let pages = 0; pages < PAGES; pages += 1) {
    const page = await history.search({ chainId, limit: ENTRIES_A_PAGE, after });
    page.forEach(note);
    after = page.at(-1);
    if (page.length < ENTRIES_A_PAGE) break;
  }
  // reports of outcomes name their intent, not its chain
  await history.aboutIntents([...new Set(actions.map(({ intentId }) => intentId))], (entries) => {
    entries.filter((entry) => entry.chainId === null).forEach(note);
  });
  return [...spans]
    .sort(([, a], [, b]) => a.from - b.from)
    .map(([traceId, { from, to }]) => ({
      traceId,
      url: jaegerUrl === undefined ? null : traceUrl(jaegerUrl, traceId),
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
    }));
}

/** Where Jaeger shows a trace. */
export function traceUrl(jaegerUrl: string, traceId: string): string {
  return `${jaegerUrl.replace(/\/+$/, '')}/trace/${traceId}`;
}

/** One line for each, for people. */
export function traceLines(traces: readonly ChainTrace[]): string {
  const lines = traces.slice(0, LINES).map((trace) => {
    const { traceId, url } = trace;
    return `${url === null ? `trace ${traceId}` : `Jaeger: ${url}`}  (${timesOf(trace)})\n`;
  });
  const more = traces.length - lines.length;
  return `${lines.join('')}${more > 0 ? `… and ${String(more)} more traces: --json has them all\n` : ''}`;
}

/** `2026-11-24 14:03:07–14:03:09 UTC`: the day of the end is named only where it is another. */
function timesOf({ from, to }: ChainTrace): string {
  const [day = '', time = ''] = secondsOf(from);
  const [lastDay = '', lastTime = ''] = secondsOf(to);
  if (day !== lastDay) return `${day} ${time}–${lastDay} ${lastTime} UTC`;
  return `${day} ${time === lastTime ? time : `${time}–${lastTime}`} UTC`;
}

function secondsOf(time: string): string[] {
  return time.slice(0, 19).split('T');
}
