import {
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import type { DoorConfig } from '#config';
import { DEV_AUDIENCE, DEV_ISSUER, type DevKey } from '#service';
import { DoorRefusal } from './problems.js';

/** Who stands at the door, as their token says. */
export interface Person {
  /** What the token's identity claim says (`sub` unless configured): the name under which all they order is on record. */
  readonly name: string;
  /** In the charter's words. */
  readonly roles: readonly string[];
}

/** Says who sent a token. Throws {@link DoorRefusal}: 401 when it is not accepted, 503 when the keys are out of reach. */
export type VerifyToken = (token: string) => Promise<Person>;

type Rules = Pick<DoorConfig, 'identityClaim' | 'rolesClaim' | 'roleMap'>;

/** Only signatures that need the issuer's private key: no `none`, and no secret that a public key could be taken for. */
const ALGORITHMS = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
];

/** Clocks of issuer and door may differ by so much. */
const CLOCK_TOLERANCE_S = 5;

/** Characters that show nothing: two names that look alike must be alike. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u;
const MOST_ROLES = 64;
const LONGEST_ROLE = 128;
const LONGEST_NAME = 256;

const checked = { requiredClaims: ['exp', 'sub'], clockTolerance: CLOCK_TOLERANCE_S } satisfies JWTVerifyOptions;

/** Tokens of an identity provider. */
export function issuerVerifier(issuer: NonNullable<DoorConfig['issuer']>, rules: Rules): VerifyToken {
  const keys = createRemoteJWKSet(new URL(issuer.jwksUrl), { timeoutDuration: 3000, cooldownDuration: 10_000 });
  const options = { ...checked, algorithms: ALGORITHMS, issuer: issuer.url, audience: issuer.audience };
  return (token) => verify(token, keys, options, rules);
}

/** Tokens that people of this machine made with the dev key. */
export function devVerifier(key: DevKey, rules: Rules): VerifyToken {
  const options = { ...checked, algorithms: ['EdDSA'], issuer: DEV_ISSUER, audience: DEV_AUDIENCE };
  // the name that somebody logged in with is in `sub`
  return (token) => verify(token, () => key.publicKey, options, { ...rules, identityClaim: 'sub' });
}

/** A door that nobody opens says how it would be opened. */
export function closedDoor(because: string): VerifyToken {
  return () => Promise.reject(new DoorRefusal(503, 'REMIT_DOOR_CLOSED', because));
}

async function verify(token: string, key: JWTVerifyGetKey, options: JWTVerifyOptions, rules: Rules): Promise<Person> {
  let payload: JWTPayload;
  try {
    ({ payload } = await jwtVerify(token, key, options));
  } catch (error) {
    throw refusalOfToken(error);
  }
  const { identityClaim } = rules;
  const name = payload[identityClaim];
  if (typeof name !== 'string' || name.trim() === '' || name.length > LONGEST_NAME || UNSEEN.test(name)) {
    const detail = `the token’s ${identityClaim} must name a person in 1-256 visible characters`;
    throw new DoorRefusal(401, 'REMIT_DOOR_TOKEN_SUBJECT', detail);
  }
  if (identityClaim === 'email' && payload['email_verified'] === false) {
    const detail = 'the issuer has not verified the token’s email, so it names nobody';
    throw new DoorRefusal(401, 'REMIT_DOOR_TOKEN_SUBJECT', detail);
  }
  return { name, roles: rolesOf(payload[rules.rolesClaim], rules.roleMap) };
}

/** A claim that is no list of names gives no role. */
function rolesOf(claim: unknown, roleMap: Rules['roleMap']): string[] {
  const named = (typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : []).filter(
    (role): role is string => typeof role === 'string' && role !== '' && role.length <= LONGEST_ROLE,
  );
  const ours = roleMap === undefined ? named : named.flatMap((role) => roleMap.get(role) ?? []);
  return [...new Set(ours)].slice(0, MOST_ROLES);
}

const BY_CLAIM: Readonly<Record<string, readonly [code: string, detail: string]>> = {
  aud: ['REMIT_DOOR_TOKEN_AUDIENCE', 'the token is for another audience than this door'],
  iss: ['REMIT_DOOR_TOKEN_ISSUER', 'the token comes from another issuer than this door trusts'],
  nbf: ['REMIT_DOOR_TOKEN_NOT_YET', 'the token is not valid yet'],
  sub: ['REMIT_DOOR_TOKEN_SUBJECT', 'the token does not say who you are (sub)'],
  exp: ['REMIT_DOOR_TOKEN_ENDLESS', 'the token never expires (exp); this door takes only tokens that do'],
};

/** jose tells the signature first and the claims afterwards, so that nobody learns claims by guessing. */
function refusalOfToken(error: unknown): DoorRefusal {
  const refuse = (code: string, detail: string): DoorRefusal => new DoorRefusal(401, code, detail);
  if (error instanceof errors.JWTExpired) {
    return refuse('REMIT_DOOR_TOKEN_EXPIRED', 'the token has expired: log in again (remit login)');
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return refuse(...(BY_CLAIM[error.claim] ?? ['REMIT_DOOR_TOKEN_CLAIMS', 'a claim of the token does not fit']));
  }
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return refuse('REMIT_DOOR_TOKEN_ALGORITHM', 'the token is not signed in a way this door accepts');
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey) {
    return refuse('REMIT_DOOR_TOKEN_KEY', 'the token is not signed by a key this door trusts');
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) {
    return refuse('REMIT_DOOR_TOKEN_MALFORMED', 'that is not a JSON Web Token');
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return refuse('REMIT_DOOR_TOKEN_KEY', 'several keys of the issuer would fit; the token must name its own (kid)');
  }
  return new DoorRefusal(503, 'REMIT_DOOR_KEYS_UNREACHABLE', 'the issuer’s keys cannot be fetched now: try again');
}
