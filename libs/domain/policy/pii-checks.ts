/** Check digits of numbers that belong to people. Each takes digits and letters without separators. */

const IBAN_LENGTHS = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 ' +
    'FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 ' +
    'MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 ' +
    'SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20'
  )
    .split(' ')
    .map((entry): [string, number] => [entry.slice(0, 2), Number(entry.slice(2))]),
);

/** How long an IBAN of this country is; undefined when the country has none. */
export function ibanLength(country: string): number | undefined {
  return IBAN_LENGTHS.get(country);
}

/** ISO 7064 MOD 97-10, as IBANs use it. */
export function isIban(iban: string): boolean {
  let rest = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    let digit = Number(digits[digits.length - 1 - index]);
    if (index % 2 === 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 === 0;
}

/** The first digits and the lengths that card schemes give out. */
const CARDS = [
  /^4\d{15}(\d{3})?$/,
  /^5[1-5]\d{14}$/,
  /^2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}$/,
  /^3[47]\d{13}$/,
  /^3(0[0-5]|[689]\d)\d{11}$/,
  /^6(011|5\d\d|4[4-9]\d)\d{12}$/,
  /^35(2[89]|[3-8]\d)\d{12}$/,
  /^62\d{14,17}$/,
];

export function isCardNumber(digits: string): boolean {
  return CARDS.some((card) => card.test(digits)) && passesLuhn(digits) && !/^(\d)\1+$/.test(digits);
}

/** US social security number: no check digit, but areas, groups and serials that are never given out. */
export function isSocialSecurityNumber(digits: string): boolean {
  return /^(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}$/.test(digits);
}

function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, index) => sum + weight * Number(digits[index]), 0);
}

/** Brazilian CPF. */
export function isCpf(digits: string): boolean {
  if (!/^\d{11}$/.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  const check = (length: number): number => {
    const weights = Array.from({ length }, (_, index) => length + 1 - index);
    return ((weighted(digits, weights) * 10) % 11) % 10;
  };
  return check(9) === Number(digits[9]) && check(10) === Number(digits[10]);
}

/** Swiss AHV number: country 756 and an EAN-13 check digit. */
export function isAhvNumber(digits: string): boolean {
  return /^756\d{10}$/.test(digits) && weighted(digits, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
}

/** French social security number: sex, year, month, place, order and a key of two digits. */
export function isNir(digits: string): boolean {
  if (!/^[12]\d{2}(0[1-9]|1[0-2]|[2-9]\d)\d{10}$/.test(digits)) return false;
  return 97 - (Number(digits.slice(0, 13)) % 97) === Number(digits.slice(13));
}

/** Spanish DNI or NIE, with its letter. */
export function isDni(text: string): boolean {
  if (!/^[XYZ\d]\d{7}[A-Z]$/.test(text)) return false;
  const number = Number(text.slice(0, 8).replace(/^[XYZ]/, (letter) => String('XYZ'.indexOf(letter))));
  return 'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23] === text[8];
}

const ODD_POSITIONS = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/** Italian codice fiscale, with its letter. */
export function isCodiceFiscale(text: string): boolean {
  if (!/^[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]$/.test(text)) return false;
  let sum = 0;
  for (let index = 0; index < 15; index += 1) {
    const value = Number.parseInt(text[index] ?? '', 36);
    const place = value > 9 ? value - 10 : value;
    sum += index % 2 === 0 ? (ODD_POSITIONS[place] ?? 0) : place;
  }
  return String.fromCharCode(65 + (sum % 26)) === text[15];
}

/** UK national insurance number: no check digit, but letters that are never given out. */
export function isNationalInsuranceNumber(text: string): boolean {
  return /^(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]$/.test(text);
}

function isDayAndMonth(day: string, month: string): boolean {
  return Number(day) >= 1 && Number(day) <= 31 && Number(month) >= 1 && Number(month) <= 12;
}

/** Finnish henkilötunnus, with its check character. */
export function isHenkilotunnus(text: string): boolean {
  const parts = /^(\d{2})(\d{2})(\d{2})[-+A-FU-Y](\d{3})([0-9A-Y])$/.exec(text);
  if (parts === null) return false;
  const [, day = '', month = '', year = '', serial = '', check] = parts;
  return (
    isDayAndMonth(day, month) && '0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(day + month + year + serial) % 31] === check
  );
}

/** Swedish personnummer of ten digits: a day, and Luhn. */
export function isPersonnummer(digits: string): boolean {
  return /^\d{10}$/.test(digits) && isDayAndMonth(digits.slice(4, 6), digits.slice(2, 4)) && passesLuhn(digits);
}
