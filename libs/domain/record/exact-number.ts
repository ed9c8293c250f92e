/** Any decimal of so many characters without an exponent comes back from a double unchanged. */
const ALWAYS_EXACT = 15;
/** Written out in full, the largest double has 309 digits. */
const LONGEST_NUMBER = 400;
const LONGEST_SHOWN = 40;

/** A decimal number as digits without leading or trailing zeros and a power of ten: one text per value. */
function decimalOf(number: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign === '-' ? '-' : ''}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/**
 * Whether a decimal number is written again as it was, once it is kept as a double. Even a number that a double holds may not
 * be: 2^60 is 1152921504606846976, and is written again as 1152921504606847000.
 */
export function isExactNumber(number: string): boolean {
  if (number.length <= ALWAYS_EXACT && !number.includes('e') && !number.includes('E')) return true;
  const held = Number(number);
  return number.length <= LONGEST_NUMBER && Number.isFinite(held) && decimalOf(number) === decimalOf(String(held));
}

/** What is wrong with a number that is not exact, for who wrote it. */
export function inexactNumber(number: string): string {
  const held = Number(number);
  const shown = number.length > LONGEST_SHOWN ? `${number.slice(0, LONGEST_SHOWN)}…` : number;
  const read = Number.isFinite(held) ? `is read as ${held}` : 'is too large to be read';
  return `the number ${shown} has more digits than are kept: it ${read}`;
}
