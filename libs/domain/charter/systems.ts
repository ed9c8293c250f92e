/** A classification and its place in the charter's list; 0 is the mildest. */
export interface Classification {
  readonly name: string;
  readonly rank: number;
}

export interface Classifications {
  readonly byName: ReadonlyMap<string, Classification>;
  readonly strictest: Classification;
}

/** The charter's own word for a system. */
export interface GovernedSystem {
  readonly name: string;
  readonly classification: Classification;
  readonly environment?: string;
  readonly integration?: string;
}

export function compileClassifications(names: readonly string[]): Classifications {
  const all = names.map((name, rank) => ({ name, rank }));
  const strictest = all.at(-1);
  if (strictest === undefined) throw new TypeError('a charter has at least one classification');
  return { byName: new Map(all.map((one) => [one.name, one])), strictest };
}
