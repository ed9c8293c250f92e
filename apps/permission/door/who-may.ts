import { permissionTermsOf, type Charter, type PermissionRequest } from '#domain';
import { DoorRefusal } from './problems.js';
import type { Person } from './tokens.js';

/**
 * What the door itself asks of people, beyond what the log decides: who may approve, reject, grant past the approvals
 * or close a review is decided there, by the charter in force when the order is judged.
 */
export interface WhoMay {
  /** Charters, reinstating. */
  govern(person: Person): void;
  /** What takes authority away may be ordered by everyone who could give some. */
  takeBack(person: Person): void;
  /** What the charter names approvers for is the log's to decide; the rest is for administrators. */
  grant(person: Person, permission: string): void;
  /**
   * What a held intent would execute is seen by those who may approve or reject it, by auditors and by administrators;
   * `undefined`: this person may.
   */
  whyNotSeeHeld(person: Person, request: PermissionRequest): string | undefined;
}

/** Roles of people, by the configuration. */
export interface StandingRoles {
  readonly adminRoles: readonly string[];
  readonly auditorRoles: readonly string[];
}

/** What orders something throws {@link DoorRefusal} with 403 and the roles it takes. */
export function whoMay(charter: Charter | undefined, { adminRoles, auditorRoles }: StandingRoles): WhoMay {
  const lacking = (person: Person, roles: readonly string[], what: string): string | undefined =>
    roles.some((role) => person.roles.includes(role))
      ? undefined
      : `${what} takes one of the roles ${[...new Set(roles)].join(', ')}; you are ${person.name} with ${rolesOf(person)}`;
  const demand = (person: Person, roles: readonly string[], what: string): void => {
    const detail = lacking(person, roles, what);
    if (detail !== undefined) throw new DoorRefusal(403, 'REMIT_DOOR_ROLE_MISSING', detail);
  };
  return {
    govern: (person) => demand(person, adminRoles, 'this'),
    takeBack: (person) => demand(person, [...adminRoles, ...approvingRoles(charter)], 'taking authority back'),
    grant: (person, permission) => {
      const entry = charter?.document.permissions[permission];
      if (entry?.approvals !== undefined) return;
      demand(person, adminRoles, `granting ${permission}, for which the charter names no approvers,`);
    },
    whyNotSeeHeld: (person, { needs }) => {
      const approving = needs.map(({ approvals }) => approvals.role);
      return lacking(person, [...approving, ...auditorRoles, ...adminRoles], 'seeing what would be executed');
    },
  };
}

function rolesOf({ roles }: Person): string {
  return roles.length === 0 ? 'no role' : `the roles ${roles.join(', ')}`;
}

function approvingRoles(charter: Charter | undefined): string[] {
  if (charter === undefined) return [];
  const approving = Object.values(charter.document.permissions).flatMap(({ approvals }) => approvals?.role ?? []);
  const breakGlass = permissionTermsOf(charter, '')?.breakGlass?.role;
  return breakGlass === undefined ? approving : [...approving, breakGlass];
}
