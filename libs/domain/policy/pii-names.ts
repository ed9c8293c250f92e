import { boundedMemo } from '../matching/bounded-memo.js';

/** Kinds of personal data. `unscanned`: there was more than may be looked at, so it counts as personal. */
export const PII_KINDS = [
  'email',
  'phone',
  'iban',
  'card-number',
  'national-id',
  'passport',
  'date-of-birth',
  'name',
  'address',
  'ip-address',
  'health',
  'unscanned',
] as const;
export type PiiKind = (typeof PII_KINDS)[number];

/** What the name of a parameter says of its value. */
export interface NameMeaning {
  readonly kind?: PiiKind;
  /** The name says `address`, which may be of anything: the value must look like a place where someone lives. */
  readonly doubtful?: true;
  /** The value is some number of a thing: runs of digits in it are no card. */
  readonly countsThings?: true;
}

const NO_MEANING: NameMeaning = {};

/** Names in lower case, letters only, without the accents, as {@link lettersOf} yields them. */
const KINDS_BY_NAME = new Map<string, PiiKind>(
  Object.entries({
    phone:
      'phone phonenumber telephone telephonenumber tel telno telefon telefonnummer telefono telefone mobile mobilephone ' +
      'mobilenumber mobil mobilnummer handy handynummer cell cellphone cellnumber movil celular portable fax faxnumber ' +
      'homephone workphone msisdn rufnummer',
    'date-of-birth':
      'dob dateofbirth birthdate birthday birthdt bday geburtsdatum geburtstag datenaissance datedenaissance ' +
      'fechanacimiento fechadenacimiento datanascita datadinascita datanascimento geboortedatum',
    name:
      'firstname lastname fullname surname givenname familyname middlename maidenname forename legalname vorname nachname ' +
      'familienname geburtsname prenom nomdefamille apellido apellidos primerapellido cognome sobrenome voornaam achternaam ' +
      'accountholder accountholdername cardholder cardholdername kontoinhaber nameoncard nombrecompleto',
    address:
      'streetaddress street addressline addresslineone homeaddress postaladdress mailingaddress residentialaddress ' +
      'billingaddress shippingaddress deliveryaddress anschrift wohnadresse privatadresse strasse adressepostale domicile ' +
      'domicilio indirizzo',
    'national-id':
      'ssn socialsecuritynumber socialsecurityno nationalid nationalidnumber nationalidentitynumber nationalinsurancenumber ' +
      'nino dni nif nie pesel cpf bsn burgerservicenummer steuerid steueridnr steueridentifikationsnummer ' +
      'sozialversicherungsnummer rentenversicherungsnummer ahvnummer numerosecu numerosecuritesociale codicefiscale ' +
      'personnummer personalnumber hetu henkilotunnus aadhaar aadhaarnumber idcard idcardnumber identitycardnumber ' +
      'personalausweisnummer driverslicense driverslicence driverlicense driverlicence driverslicensenumber drivinglicence ' +
      'drivinglicense fuhrerscheinnummer curp',
    passport:
      'passport passportnumber passportno passportid passnumber reisepass reisepassnummer numeropasseport pasaporte',
    'ip-address':
      'clientip userip visitorip customerip remoteip remoteaddr clientipaddress useripaddress xforwardedfor',
    health:
      'diagnosis diagnose diagnoses medicalrecordnumber medicalrecord mrn patientid bloodtype bloodgroup allergies ' +
      'medicalhistory healthcondition disability prescription icdcode',
  }).flatMap(([kind, names]) => names.split(' ').map((name): [string, PiiKind] => [name, kind as PiiKind])),
);

/** Names that say nothing of whom they are about, beside those above: what there is in any mapping or list. */
const ORDINARY_NAMES = new Set(
  (
    'account accounts address addresses amount assignee assignees attachments attendee attendees attributes author bcc bio body card cc city columns comment comments ' +
    'contact content country currency customer customers data date description destination details document documents email ' +
    'emails entries event events fields file files filter filters from iban id ids input invitees items key label line lines list ' +
    'mail mails member members message messages meta metadata name names note notes number numbers object objects options ' +
    'order orders organizer output params participant participants patient patients payload people person persons phones postcode profile prompt properties ' +
    'query raw reason recipient recipients record records reference replyto rows row search sender sql subject summary tag tags text ' +
    'texts title to url urls user users value values where zip'
  ).split(' '),
);

/** Whose data it is, in front of what it is. */
const SUBJECTS =
  'customer client patient employee contact guest member beneficiary applicant passenger person buyer owner recipient ' +
  'sender user billing shipping delivery home work primary secondary emergency kunden mitarbeiter patienten cliente';
const SUBJECT = new RegExp(`^(?:${SUBJECTS.replaceAll(' ', '|')})`);
const PEOPLE =
  /^(?:customer|client|patient|employee|contact|guest|member|beneficiary|applicant|passenger|person|kunden|mitarbeiter|patienten|cliente)/;

const NAMES_OF_ADDRESSES = new Set(['address', 'addresses', 'adresse', 'direccion', 'endereco', 'adres']);

const COUNTED_THINGS =
  /order|invoice|tracking|ticket|trace|span|request|build|serial|imei|isbn|ean|gtin|sku|timestamp|hash|digest|etag|checksum|batch|lot|nonce/;

const LONGEST_NAME = 64;
const REMEMBERED_NAMES = 2_048;

/** Lower case, letters only, without accents: `date_of_birth`, `dateOfBirth` and `Date of birth` are the same name. */
function lettersOf(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/ß/g, 'ss')
    .replace(/[^a-z]/g, '');
}

function kindOf(letters: string): PiiKind | undefined {
  return KINDS_BY_NAME.get(letters) ?? (letters.endsWith('s') ? KINDS_BY_NAME.get(letters.slice(0, -1)) : undefined);
}

/**
 * Whether a name is made of words that could be anybody's. Any other may itself be what nobody may keep: a person, an
 * account, a free text used as a key.
 */
export function isOrdinaryName(name: string): boolean {
  if (name.length > LONGEST_NAME || !/^[a-z _.-]+$/i.test(name)) return false;
  const letters = lettersOf(name);
  const what = letters.replace(SUBJECT, '');
  return [letters, what].some((one) => ORDINARY_NAMES.has(one) || kindOf(one) !== undefined);
}

/** What a parameter's name says of its value; the same question is answered once. */
export const meaningOfName = boundedMemo(REMEMBERED_NAMES, (name: string): NameMeaning => {
  if (name.length > LONGEST_NAME) return NO_MEANING;
  const letters = lettersOf(name);
  const direct = kindOf(letters);
  if (direct !== undefined) return { kind: direct };
  if (NAMES_OF_ADDRESSES.has(letters)) return { kind: 'address', doubtful: true };
  const what = letters.replace(SUBJECT, '');
  if (what !== letters) {
    const kind = kindOf(what);
    if (kind !== undefined) return { kind };
    if (NAMES_OF_ADDRESSES.has(what)) return { kind: 'address', doubtful: true };
    if (what === 'name' && PEOPLE.test(letters)) return { kind: 'name' };
  }
  return COUNTED_THINGS.test(letters) ? { countsThings: true } : NO_MEANING;
});
