import { describe, expect, it } from '@jest/globals';
import { CommitQueue, type CommitRequest } from './commit-queue.js';

const commitOf = (topic: string, partition: number) => ({ topic, partition, offset: '7', metadata: '{}' });

/** Brokers that answer when the test says so. */
class Brokers {
  readonly requests: string[][] = [];
  readonly #answers: { resolve(): void; reject(error: Error): void }[] = [];

  readonly send = ({ topics }: CommitRequest): Promise<void> => {
    this.requests.push(
      topics.flatMap(({ topic, partitions }) => partitions.map(({ partition }) => `${topic}/${String(partition)}`)),
    );
    return new Promise((resolve, reject) => this.#answers.push({ resolve, reject }));
  };

  answer(error?: Error): void {
    const answer = this.#answers.shift();
    if (error === undefined) answer?.resolve();
    else answer?.reject(error);
  }
}

describe('commits of one member', () => {
  it('travel together while one is in flight, and each is told once the brokers have it', async () => {
    const brokers = new Brokers();
    const queue = new CommitQueue(() => true);
    const first = queue.commit(commitOf('actions', 0), brokers.send);
    const others = [commitOf('actions', 1), commitOf('requests', 1), commitOf('actions', 2)].map((commit) =>
      queue.commit(commit, brokers.send),
    );
    expect(brokers.requests).toEqual([['actions/0']]);
    brokers.answer();
    await first;
    await Promise.resolve();
    expect(brokers.requests).toEqual([['actions/0'], ['actions/1', 'actions/2', 'requests/1']]);
    brokers.answer();
    await Promise.all(others);
    const later = queue.commit(commitOf('actions', 0), brokers.send);
    expect(brokers.requests).toHaveLength(3);
    brokers.answer();
    await later;
  });

  it('leave out a partition that was given away while they waited', async () => {
    const brokers = new Brokers();
    const ours = new Set([0, 1, 2]);
    const queue = new CommitQueue((_, partition) => ours.has(partition));
    const [first, lost, kept] = [0, 1, 2].map((partition) =>
      queue.commit(commitOf('actions', partition), brokers.send),
    );
    ours.delete(1);
    brokers.answer();
    expect(await first).toBe(true);
    expect(await lost).toBe(false);
    expect(brokers.requests).toEqual([['actions/0'], ['actions/2']]);
    brokers.answer();
    expect(await kept).toBe(true);
  });

  it('that are refused are told so, and those after them go on', async () => {
    const brokers = new Brokers();
    const queue = new CommitQueue(() => true);
    const refused = queue.commit(commitOf('actions', 0), brokers.send);
    const next = queue.commit(commitOf('actions', 1), brokers.send);
    brokers.answer(new Error('not the coordinator'));
    await expect(refused).rejects.toThrow('not the coordinator');
    brokers.answer();
    await next;
  });
});
