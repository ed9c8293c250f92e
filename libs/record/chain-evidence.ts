import { sha256, TOPICS } from '#contracts';
import { checkCharter, permissionsBehind, type ChainEvent, type ChainEvidence } from '#domain';
import { charterEventIn, permissionEventIn } from './governing-events.js';
import type { HistoryReading } from './history.js';

/** The charters that judged a chain, and the grants its decisions rest on, as the record holds them. */
export async function readChainEvidence(
  history: HistoryReading,
  events: readonly ChainEvent[],
): Promise<ChainEvidence> {
  const decisions = events.flatMap((event) => (event.kind === 'decision' ? [event.decision] : []));
  const digests = new Set(decisions.flatMap(({ stamp }) => stamp.charter.digest ?? []));
  const used = new Map<string, Set<string>>();
  for (const decision of decisions) {
    for (const { grantId } of permissionsBehind(decision)) {
      if (grantId === undefined) continue;
      const ofAgent = used.get(decision.agentId);
      if (ofAgent === undefined) used.set(decision.agentId, new Set([grantId]));
      else ofAgent.add(grantId);
    }
  }
  return { charters: await chartersNamed(history, digests), grants: await grantsNamed(history, used) };
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

async function grantsNamed(
  history: HistoryReading,
  used: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<ChainEvidence['grants']> {
  const grants: ChainEvidence['grants'][number][] = [];
  for (const [agentId, grantIds] of used) {
    for await (const page of history.stream({ topics: [TOPICS.permissionEvents.name], agentId })) {
      for (const event of page.flatMap((entry) => permissionEventIn(entry) ?? [])) {
        if (event.event === 'PermissionGranted' && grantIds.has(event.grantId)) grants.push(event);
      }
    }
  }
  return grants;
}
