import type { ScopeMetrics } from '#telemetry';
import type { ServiceIdentity } from './service-identity.js';

/** What a worker thread is started with. */
export interface WorkerTerms {
  readonly identity: ServiceIdentity;
}

/** From the main thread to a worker. */
export type WorkerRequest = { readonly ask: 'readiness' | 'metrics'; readonly id: number } | { readonly ask: 'stop' };

/** From a worker to the main thread. */
export type WorkerAnswer =
  | { readonly say: 'started' }
  | { readonly say: 'readiness'; readonly id: number; readonly results: Readonly<Record<string, string>> }
  | { readonly say: 'metrics'; readonly id: number; readonly metrics: readonly ScopeMetrics[] };
