/** Remembers at most so many values, each for so long. */
export class ExpiringMap<Value> {
  readonly #entries = new Map<string, { readonly value: Value; readonly until: number }>();

  constructor(
    private readonly most: number,
    private readonly lifetimeMs: number,
  ) {}

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.until < performance.now() ? undefined : entry.value;
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: performance.now() + this.lifetimeMs });
    if (this.#entries.size <= this.most) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  clear(): void {
    this.#entries.clear();
  }
}
