import { sha256, TOPICS } from '#contracts';
import {
  checkCharter,
  isPeoplesOrder,
  nameOfOrder,
  ordersNamed,
  permissionsBehind,
  type ChainEvent,
  type ChainEvidence,
} from '#domain';
import { agentOfPermissionEntry, charterEventIn, permissionEventIn } from './governing-events.js';
import type { HistoryReading } from './history.js';

/** The charters that judged a chain, and the grants and orders of people its decisions rest on, as the record has them. */
export async function readChainEvidence(
  history: HistoryReading,
  events: readonly ChainEvent[],
): Promise<ChainEvidence> {
  const decisions = events.flatMap((event) => (event.kind === 'decision' ? [event.decision] : []));
  const digests = new Set(decisions.flatMap(({ stamp }) => stamp.charter.digest ?? []));
  const named = new Map<string, Named>();
  for (const decision of decisions) {
    const grantIds = permissionsBehind(decision).flatMap(({ grantId }) => grantId ?? []);
    const orders = ordersNamed(decision).map(({ name }) => name);
    if (grantIds.length + orders.length === 0) continue;
    const ofAgent = named.get(decision.agentId) ?? { grantIds: new Set(), orders: new Set() };
    named.set(decision.agentId, ofAgent);
    for (const grantId of grantIds) ofAgent.grantIds.add(grantId);
    for (const order of orders) ofAgent.orders.add(order);
  }
  return { charters: await chartersNamed(history, digests), ...(await permissionEventsNamed(history, named)) };
}

/** What the decisions of one agent name of its permission events. */
interface Named {
  readonly grantIds: Set<string>;
  readonly orders: Set<string>;
}

async function chartersNamed(
  history: HistoryReading,
  digests: ReadonlySet<string>,
): Promise<ChainEvidence['charters']> {
  const charters = new Map<string, ReturnType<ChainEvidence['charters']['get']> & object>();
  if (digests.size === 0) return charters;
  for await (const page of history.partition({ topic: TOPICS.charterEvents.name, partition: 0, from: 0 })) {
    for (const event of page.flatMap((entry) => charterEventIn(entry) ?? [])) {
      if (event.event !== 'CharterActivated' || !digests.has(event.digest) || charters.has(event.digest)) continue;
      const checked = checkCharter(event.text, sha256);
      if (checked.ok && checked.charter.digest === event.digest) charters.set(event.digest, checked.charter.document);
    }
    if (charters.size === digests.size) break;
  }
  return charters;
}

async function permissionEventsNamed(
  history: HistoryReading,
  named: ReadonlyMap<string, Named>,
): Promise<Pick<ChainEvidence, 'grants' | 'orders' | 'erased'>> {
  const grants: ChainEvidence['grants'][number][] = [];
  const orders: ChainEvidence['orders'][number][] = [];
  const erased = new Set<string>();
  for (const [agentId, ofAgent] of named) {
    for await (const page of history.stream({ topics: [TOPICS.permissionEvents.name], agentId })) {
      if (page.some((entry) => entry.erased === true && agentOfPermissionEntry(entry) === agentId)) erased.add(agentId);
      for (const event of page.flatMap((entry) => permissionEventIn(entry) ?? [])) {
        if (event.event === 'PermissionGranted' && ofAgent.grantIds.has(event.grantId)) grants.push(event);
        if (isPeoplesOrder(event) && ofAgent.orders.has(nameOfOrder(event))) orders.push(event);
      }
    }
  }
  return { grants, orders, erased };
}
