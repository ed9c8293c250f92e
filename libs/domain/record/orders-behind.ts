import type { Decision } from '../decision/decision.js';
import type { PermissionEvent } from '../permission/permission-events.js';

/** Orders of people that a decision can rest on. It names the order, and neither the person nor their words. */
const ORDERS = {
  AgentSuspended: 'suspended',
  PermissionRejected: 'rejected',
  PermissionRequestCancelled: 'cancelled',
} as const;

export type PeoplesOrder = Extract<PermissionEvent, { event: keyof typeof ORDERS }>;

/** An order that a decision rests on, and the person behind it. */
export interface OrderBehind {
  readonly what: (typeof ORDERS)[keyof typeof ORDERS];
  /** `null`: the record does not hold the order, or can no longer read it. */
  readonly order: { readonly by: string; readonly reason: string; readonly at: string } | null;
  /** The order is `null`, and may be among those of this agent that were erased. */
  readonly erased: boolean;
}

/** What an order is called among those of its agent: a suspension by its version, the end of a request by the request. */
interface NamedOrder {
  readonly what: OrderBehind['what'];
  readonly name: string;
}

export function isPeoplesOrder(event: PermissionEvent): event is PeoplesOrder {
  return Object.hasOwn(ORDERS, event.event);
}

/** By this name the facts of a decision call it. */
export function nameOfOrder(event: PeoplesOrder): string {
  return `${ORDERS[event.event]} ${event.event === 'AgentSuspended' ? String(event.version) : event.requestId}`;
}

/** The orders of people that a decision names in the facts of its verdicts. */
export function ordersNamed({ verdicts }: Pick<Decision, 'verdicts'>): readonly NamedOrder[] {
  const named: NamedOrder[] = [];
  for (const { facts } of verdicts) {
    const { version } = (facts['suspension'] ?? {}) as Loose;
    if (typeof version === 'number') named.push({ what: 'suspended', name: `suspended ${String(version)}` });
    const { requestId, ended } = (facts['approval'] ?? {}) as Loose;
    if (typeof requestId === 'string' && (ended === 'rejected' || ended === 'cancelled')) {
      named.push({ what: ended, name: `${ended} ${requestId}` });
    }
  }
  return named;
}

/** A fact, which the record keeps as whoever decided has written it. */
type Loose = Partial<Record<string, unknown>>;

/** The orders of people behind a decision, as far as these events tell. `erased`: some of this agent were. */
export function ordersBehind(
  decision: Pick<Decision, 'agentId' | 'verdicts'>,
  orders: readonly PeoplesOrder[],
  erased: boolean,
): readonly OrderBehind[] {
  return ordersNamed(decision).map(({ what, name }) => {
    const found = orders.find((order) => order.agentId === decision.agentId && nameOfOrder(order) === name);
    if (found === undefined) return { what, order: null, erased };
    return { what, order: { by: found.by, reason: found.reason, at: found.at }, erased: false };
  });
}
