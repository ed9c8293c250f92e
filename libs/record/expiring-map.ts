interface Entry<Value> {
  readonly value: Value;
  readonly until: number;
}

/**
 * Remembers about so many values at most, each for so long. What was set last is kept in one map and what came before
 * in another, which is let go as a whole: to delete the oldest entry of one map again and again would mean to walk
 * over all that were deleted before it.
 */
export class ExpiringMap<Value> {
  #young = new Map<string, Entry<Value>>();
  #old: ReadonlyMap<string, Entry<Value>> = new Map();

  constructor(
    private readonly most: number,
    private readonly lifetimeMs: number,
  ) {}

  get(key: string): Value | undefined {
    const entry = this.#young.get(key) ?? this.#old.get(key);
    return entry === undefined || entry.until < performance.now() ? undefined : entry.value;
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.most / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, { value, until: performance.now() + this.lifetimeMs });
  }

  clear(): void {
    this.#young.clear();
    this.#old = new Map();
  }
}
