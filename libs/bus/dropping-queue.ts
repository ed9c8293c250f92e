/** How many dropped items may lie in front before the rest moves up, at least. */
const MIN_DROPPED = 32;

/** Items in order, added at the end and dropped at the front, each in constant time on average. */
export class DroppingQueue<Item> {
  #items: (Item | undefined)[] = [];
  #from = 0;

  get length(): number {
    return this.#items.length - this.#from;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  first(): Item | undefined {
    return this.#items[this.#from];
  }

  last(): Item | undefined {
    return this.length === 0 ? undefined : this.#items.at(-1);
  }

  /** Drops the first item. */
  drop(): void {
    if (this.length === 0) return;
    this.#items[this.#from] = undefined;
    this.#from += 1;
    if (this.#from >= MIN_DROPPED && this.#from * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#from);
      this.#from = 0;
    }
  }

  /** Of the items that fulfil a condition, which all up to some point do and none after it, only the last stays. */
  dropAllButLastWhere(holds: (item: Item) => boolean): void {
    for (let second = this.#items[this.#from + 1]; second !== undefined && holds(second);) {
      this.drop();
      second = this.#items[this.#from + 1];
    }
  }

  /** The last item that fulfils a condition which holds for all items up to some point and for none after it. */
  lastWhere(holds: (item: Item) => boolean): Item | undefined {
    const newest = this.last();
    if (newest === undefined || holds(newest)) return newest;
    let from = this.#from;
    let to = this.#items.length - 1;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (holds(this.#items[middle] as Item)) from = middle + 1;
      else to = middle;
    }
    return from === this.#from ? undefined : this.#items[from - 1];
  }
}
