import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from '#testing';
import { SupervisedWorker, type SupervisedWorkerOptions } from './supervised-worker.js';

/** A worker thread that does this when it is asked for something; `port` is its way to the main thread. */
function workerThat(onMessage: string, first = `port.postMessage({ say: 'started' });`): URL {
  const script = `import { parentPort as port } from 'node:worker_threads';
    port.on('message', ({ ask, id }) => { if (ask === 'stop') process.exit(0); ${onMessage} });
    ${first}`;
  return new URL(`data:text/javascript,${encodeURIComponent(script)}`);
}

const READY = `port.postMessage({ say: 'readiness', id, results: { database: 'ok', partitions: 'ok' } });`;

describe('a supervised worker thread', () => {
  const workers: SupervisedWorker[] = [];
  const ended: string[] = [];
  const neverStarted: string[] = [];

  function started(entry: URL, options: Partial<SupervisedWorkerOptions> = {}): SupervisedWorker {
    const worker = new SupervisedWorker({
      name: 'audit',
      entry,
      identity: { name: 'remit-spec', service: 'standalone', version: '1' },
      onNeverStarted: ({ message }) => neverStarted.push(message),
      onEnded: ({ message }) => ended.push(message),
      backOffMs: 1,
      ...options,
    });
    workers.push(worker);
    worker.start();
    return worker;
  }

  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    ended.length = 0;
    neverStarted.length = 0;
  });

  it('is ready when it says so, and says what it misses', async () => {
    const worker = started(workerThat(READY));
    await eventually(async () => (await worker.check.missing()) === undefined);
    const waiting = started(
      workerThat(
        `port.postMessage({ say: 'readiness', id, results: { database: 'failed: away', partitions: 'ok' } });`,
      ),
    );
    await eventually(async () => (await waiting.check.missing()) === 'database: failed: away');
  });

  it('is not ready before it has started, nor while it does not answer', async () => {
    const worker = started(workerThat('', ''));
    expect(await worker.check.missing()).toBe('it is starting');
    const busy = started(workerThat('for (;;) {}'));
    await eventually(() => busy.isRunning);
    expect(await busy.check.missing()).toContain('has not answered');
    expect(await busy.metrics()).toEqual([]);
  });

  it('is started again when it ends by itself, and each end is told and counted', async () => {
    const worker = started(workerThat(`${READY} setTimeout(() => { throw new Error('a fault'); });`));
    await eventually(async () => {
      await worker.check.missing();
      return worker.restarts >= 2 && worker.isRunning;
    });
    expect(ended.slice(0, 2)).toEqual(['a fault', 'a fault']);
    expect(neverStarted).toEqual([]);
  });

  it('is not started again when it could not be started even once', async () => {
    const worker = started(workerThat('', `throw new Error('REMIT_CONFIG_MISSING');`));
    await eventually(() => neverStarted.length > 0);
    expect(neverStarted).toEqual(['REMIT_CONFIG_MISSING']);
    expect(worker.restarts).toBe(0);
  });

  it('is not started again once it was asked to stop', async () => {
    const worker = started(workerThat(READY));
    await eventually(() => worker.isRunning);
    await worker.stop();
    expect(worker.isRunning).toBe(false);
    expect(ended).toEqual([]);
  });
});
