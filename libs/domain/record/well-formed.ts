/** Whether a text has UTF-8 bytes. A lone half of a surrogate pair has none, so nothing that holds one has a digest. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
