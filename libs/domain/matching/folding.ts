/** What folding would not change. */
const PLAIN = /^[a-z0-9._:/@-]*$/;

/** Characters that show nothing: soft hyphens, joiners, marks of direction, variation selectors, fillers, controls. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cc}]/gu;

/**
 * A name as what restricts reads it, without the differences of spelling that a reader overlooks: case is folded,
 * compatible characters (full width, ligatures) are plain ones, blanks at the ends and invisible characters are gone.
 */
export function foldName(name: string): string {
  if (PLAIN.test(name)) return name;
  return name.normalize('NFKC').replace(INVISIBLE, '').trim().toUpperCase().toLowerCase().normalize('NFKC');
}
