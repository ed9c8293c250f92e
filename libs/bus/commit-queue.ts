/** The next offset of a partition to be read, and what is kept beside it, as kafkajs takes them. */
export interface Commit {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly metadata: string;
}

/** Commits of several partitions, as kafkajs takes them. */
export interface CommitRequest {
  topics: { topic: string; partitions: { partition: number; offset: string; metadata: string }[] }[];
}

interface Waiting {
  readonly commit: Commit;
  readonly send: (request: CommitRequest) => Promise<void>;
  readonly resolve: (isCommitted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The commits of one member while it holds one assignment. One request is in flight; what is to be committed meanwhile
 * travels together in the next: a broker writes each request to a log of its own, and there may be one for every batch.
 */
export class CommitQueue {
  readonly #waiting: Waiting[] = [];
  #isSending = false;

  constructor(
    /** Whether the partition still is this member's: its new owner commits it. Asked before each request. */
    private readonly isOurs: (topic: string, partition: number) => boolean,
  ) {}

  /**
   * Resolves with `true` once the brokers have the commit, with `false` when the partition has been given away. Rejects
   * with the error of the request that it travelled in.
   */
  commit(commit: Commit, send: Waiting['send']): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commit, send, resolve, reject });
      if (!this.#isSending) void this.#sendAll();
    });
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let aboard = this.#take(); aboard.length > 0; aboard = this.#take()) {
      try {
        await aboard[0]?.send(requestOf(aboard.map(({ commit }) => commit)));
        for (const { resolve } of aboard) resolve(true);
      } catch (error) {
        for (const { reject } of aboard) reject(error);
      }
    }
    this.#isSending = false;
  }

  #take(): Waiting[] {
    const aboard: Waiting[] = [];
    for (const waiting of this.#waiting.splice(0)) {
      const { topic, partition } = waiting.commit;
      if (this.isOurs(topic, partition)) aboard.push(waiting);
      else waiting.resolve(false);
    }
    return aboard;
  }
}

function requestOf(commits: readonly Commit[]): CommitRequest {
  const topics = new Map<string, CommitRequest['topics'][number]['partitions']>();
  for (const { topic, ...of } of commits) {
    const partitions = topics.get(topic);
    if (partitions === undefined) topics.set(topic, [of]);
    else partitions.push(of);
  }
  return { topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })) };
}
