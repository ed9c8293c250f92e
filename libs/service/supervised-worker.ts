import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ScopeMetrics } from '#telemetry';
import type { ReadinessCheck } from './health.js';
import type { ServiceIdentity } from './service-identity.js';
import type { WorkerAnswer, WorkerRequest, WorkerTerms } from './worker-messages.js';

export interface SupervisedWorkerOptions {
  /** What it does, in one word. */
  readonly name: string;
  /** The module that it runs. */
  readonly entry: URL;
  readonly identity: ServiceIdentity;
  /** It could not be started even once: starting it again would not help. */
  readonly onNeverStarted: (error: Error) => void;
  /** It has ended by itself, and is started again after so long. */
  readonly onEnded: (error: Error, againInMs: number) => void;
  /** Of the first restart, ms; each that follows soon waits twice as long. Default: 1 s. */
  readonly backOffMs?: number;
}

const MAX_BACK_OFF_MS = 30_000;
/** One that has run for so long was all right: what ends it then is new. */
const STEADY_MS = 60_000;
/** A probe of readiness or a scrape waits so long for a worker that is busy. */
const ANSWER_MS = 1000;
/** A database that hangs must not hold up the end of the process for longer than this. */
const STOP_MS = 15_000;

type Answer = Extract<WorkerAnswer, { readonly id: number }>;

/**
 * A worker thread that is started again, with growing pauses, whenever it ends by itself. It ends with its process,
 * however that ends.
 */
export class SupervisedWorker {
  readonly check: ReadinessCheck;
  #worker: Worker | undefined;
  #hasStarted = false;
  #everStarted = false;
  #isStopping = false;
  #restarts = 0;
  #backOffMs: number;
  #startedAt = 0;
  #lastError: string | undefined;
  #nextId = 0;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #stopping = new AbortController();

  constructor(private readonly options: SupervisedWorkerOptions) {
    this.#backOffMs = options.backOffMs ?? 1000;
    this.check = { name: options.name, missing: () => this.#missing() };
  }

  /** It has started and has not ended since. */
  get isRunning(): boolean {
    return this.#hasStarted;
  }

  get restarts(): number {
    return this.#restarts;
  }

  start(): void {
    const { entry, identity, name } = this.options;
    const terms: WorkerTerms = { identity: { ...identity, thread: name } };
    const worker = new Worker(entry, { name, workerData: terms });
    this.#worker = worker;
    this.#startedAt = performance.now();
    let reason: Error | undefined;
    worker.on('error', (error) => (reason = errorOf(error)));
    worker.on('message', (answer: WorkerAnswer) => this.#hear(answer));
    worker.once('exit', (code) => {
      void this.#ended(reason ?? new Error(`the worker thread ended with code ${String(code)}`));
    });
  }

  /** Lets it finish what it has in hand. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopping.abort();
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    if (this.#hasStarted) {
      this.#say({ ask: 'stop' });
      await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
    }
    await worker.terminate();
  }

  /** What it has counted; nothing while it does not answer. */
  async metrics(): Promise<readonly ScopeMetrics[]> {
    const answer = await this.#ask('metrics');
    return answer?.say === 'metrics' ? answer.metrics : [];
  }

  async #missing(): Promise<string | undefined> {
    if (!this.#hasStarted) {
      return this.#lastError === undefined ? 'it is starting' : `it is started again, because ${this.#lastError}`;
    }
    const answer = await this.#ask('readiness');
    if (answer?.say !== 'readiness') return `it has not answered within ${String(ANSWER_MS)} ms`;
    const lacking = Object.entries(answer.results).filter(([, result]) => result !== 'ok');
    return lacking.length === 0 ? undefined : lacking.map(([check, result]) => `${check}: ${result}`).join('; ');
  }

  async #ask(ask: 'readiness' | 'metrics'): Promise<Answer | undefined> {
    if (!this.#hasStarted) return undefined;
    const id = this.#nextId++;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    this.#say({ ask, id });
    try {
      return await Promise.race([answered, sleep(ANSWER_MS, undefined, { ref: false })]);
    } finally {
      this.#waiting.delete(id);
    }
  }

  #say(request: WorkerRequest): void {
    this.#worker?.postMessage(request);
  }

  #hear(answer: WorkerAnswer): void {
    if (answer.say === 'started') {
      this.#hasStarted = true;
      this.#everStarted = true;
    } else this.#waiting.get(answer.id)?.(answer);
  }

  async #ended(error: Error): Promise<void> {
    const { onNeverStarted, onEnded, backOffMs = 1000 } = this.options;
    this.#hasStarted = false;
    this.#worker = undefined;
    if (this.#isStopping) return;
    if (!this.#everStarted) {
      onNeverStarted(error);
      return;
    }
    this.#lastError = error.message;
    if (performance.now() - this.#startedAt > STEADY_MS) this.#backOffMs = backOffMs;
    const pause = this.#backOffMs;
    this.#backOffMs = Math.min(MAX_BACK_OFF_MS, pause * 2);
    this.#restarts += 1;
    onEnded(error, pause);
    await sleep(pause, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    if (!this.#stopping.signal.aborted) this.start();
  }
}

/** Whatever was thrown in the other thread. */
function errorOf(thrown: unknown): Error {
  const isError = typeof thrown === 'object' && thrown !== null && 'message' in thrown;
  return isError ? (thrown as Error) : new Error(String(thrown));
}
