import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { sha256 } from '#contracts';
import {
  actionDigestOf,
  checkCharter,
  evolveAuthority,
  foldVerdicts,
  INITIAL_AUTHORITY,
  intentSchema,
  judge,
  LAYERS,
  permissionEventSchema,
  type AgentAuthority,
  type Charter,
} from '#domain';

const NOON = Date.UTC(2026, 10, 3, 12);
const TRUSTED = ['ann@ours.example', 'bob@ours.example'];
const OTHERS = ['jane@friend.example', 'kim@friend.example', 'eve@evil.example'];

const PLACES = ['destination', 'parameters.to', 'parameters.copy.hidden'] as const;
type Place = (typeof PLACES)[number];

const READ_AT: Readonly<Record<Place, string>> = {
  destination: 'action.destinations',
  'parameters.to': 'action.parameters.to',
  'parameters.copy.hidden': 'action.parameters.copy.hidden',
};

/** A condition that objects to what is not trusted at each of the places. */
function conditionOver(places: readonly Place[]): string {
  return places
    .map((place) => {
      const there = READ_AT[place];
      const outside = `anyNotInList(${there}, lists.trusted)`;
      if (place === 'destination') return outside;
      const isThere = place === 'parameters.to' ? `has(${there})` : `has(action.parameters.copy) && has(${there})`;
      return `(${isThere} && ${outside})`;
    })
    .join(' || ');
}

function charterOver(places: readonly Place[], form: 'violated_when' | 'objects_to'): Charter {
  const objections = Object.fromEntries(
    places.map((place) => [place, `itemsNotInList(${READ_AT[place]}, lists.trusted)`]),
  );
  const checked = checkCharter(
    stringify({
      charter: 'lifting',
      stage: 'enforce',
      lists: { trusted: ['*@ours.example'] },
      systems: { mail: { classification: 'internal' } },
      agents: { aide: { scope: { actions: ['send'], systems: ['mail'] } } },
      permissions: { contact: { max_duration: '1h', approvals: { count: 1, role: 'owner' } } },
      policies: [
        {
          id: 'trusted-only',
          severity: 'critical',
          effect: 'deny',
          unless_granted: 'contact',
          reason: 'to people we trust',
          ...(form === 'objects_to' ? { objects_to: objections } : { violated_when: conditionOver(places) }),
        },
      ],
    }),
    sha256,
  );
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  return checked.charter;
}

const places = fc.uniqueArray(fc.constantFrom(...PLACES), { minLength: 1 });
const charter = fc
  .tuple(places, fc.constantFrom('violated_when', 'objects_to'))
  .map(([chosen, form]) => ({ looksAt: chosen, charter: charterOver(chosen, form) }) as const);

/** What a grant names, by place. */
type Named = Readonly<Partial<Record<Place, readonly string[]>>>;

interface Given {
  readonly names: Named;
  readonly isLive: boolean;
}

const someNames = fc.uniqueArray(fc.constantFrom(...OTHERS), { minLength: 1, maxLength: 2 });

/** One grant: some values, at one place … */
const grant: fc.Arbitrary<Given> = fc.record({
  names: fc.tuple(fc.constantFrom(...PLACES), someNames).map(([place, names]): Named => ({ [place]: names })),
  isLive: fc.boolean(),
});

/** … or at several, which are granted together. */
const jointGrant: fc.Arbitrary<Given> = fc.record({
  names: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...PLACES), someNames), { minLength: 1, selector: ([place]) => place })
    .map((named): Named => Object.fromEntries<readonly string[]>(named)),
  isLive: fc.constant(true),
});

const values = fc.uniqueArray(fc.constantFrom(...TRUSTED, ...OTHERS), { maxLength: 4 });
const spelling = fc.constantFrom<(text: string) => string>(
  (text) => text,
  (text) => text.toUpperCase(),
);
const action = fc.tuple(values, values, values, spelling).map(([destinations, to, hidden, spelt]) => ({
  type: 'send',
  target: 'mail',
  ...(destinations.length === 0 ? {} : { destinations: destinations.map(spelt) }),
  parameters: {
    ...(to.length === 0 ? {} : { to: to.map(spelt) }),
    ...(hidden.length === 0 ? {} : { copy: { hidden: hidden.map(spelt) } }),
  },
}));
type Acting = typeof action extends fc.Arbitrary<infer Value> ? Value : never;

function authorityWith(grants: readonly Given[]): AgentAuthority {
  return grants.reduce<AgentAuthority>((state, { names, isLive }, index) => {
    const { destination, ...others } = names;
    const parameters = Object.entries(others).map(([place, oneOf]): [string, object] => [
      place.slice('parameters.'.length),
      { oneOf },
    ]);
    const event = {
      event: 'PermissionGranted',
      agentId: 'aide',
      version: index + 1,
      commandId: `c${String(index)}`,
      at: new Date(NOON - 60_000).toISOString(),
      by: 'sam',
      reason: 'because',
      grantId: `g${String(index)}`,
      permission: 'contact',
      constraints: {
        ...(destination === undefined ? {} : { destination: { oneOf: destination } }),
        ...(parameters.length === 0 ? {} : { parameters: Object.fromEntries<object>(parameters) }),
      },
      uses: null,
      expiresAt: new Date(NOON + (isLive ? 60_000 : 0)).toISOString(),
      approvedBy: ['sam'],
      charterDigest: 'c'.repeat(64),
    };
    return evolveAuthority(state, permissionEventSchema.parse(event));
  }, INITIAL_AUTHORITY);
}

function isAllowed(under: Charter, grants: readonly Given[], acting: Acting): boolean {
  const intent = intentSchema.parse({
    intentId: '01900000-0000-7000-8000-000000000001',
    agentId: 'aide',
    action: acting,
  });
  const actionDigest = actionDigestOf(intent.action, sha256);
  const input = { intent, actionDigest, judgedAt: NOON, charter: under, authority: authorityWith(grants) };
  return foldVerdicts(LAYERS.map((layer) => judge(layer, input))).outcome === 'allow';
}

function valuesAt(place: Place, acting: Acting): readonly string[] {
  const there = {
    destination: acting.destinations,
    'parameters.to': acting.parameters.to,
    'parameters.copy.hidden': acting.parameters.copy?.hidden,
  };
  return (there[place] ?? []).map((value) => value.toLowerCase());
}

const RUNS = { numRuns: 300 };

describe('whatever a policy looks at, whatever was granted', () => {
  it('exactly those actions are allowed whose values are each trusted or named, at their place, by a valid grant', () => {
    fc.assert(
      fc.property(charter, fc.array(grant, { maxLength: 4 }), action, ({ looksAt, charter: under }, grants, acting) => {
        const isNamed = looksAt.every((place) =>
          valuesAt(place, acting).every(
            (value) =>
              TRUSTED.includes(value) || grants.some((one) => one.isLive && one.names[place]?.includes(value) === true),
          ),
        );
        expect(isAllowed(under, grants, acting)).toBe(isNamed);
      }),
      RUNS,
    );
  });

  it('an action is allowed only if each value is lifted by a grant of which everything else holds, too', () => {
    let allowedByJoint = 0;
    fc.assert(
      fc.property(
        charter,
        fc.array(jointGrant, { minLength: 1, maxLength: 4 }),
        action,
        ({ looksAt, charter: under }, grants, acting) => {
          const untrusted = (place: Place): readonly string[] =>
            valuesAt(place, acting).filter((value) => !TRUSTED.includes(value));
          // Trusted values beside others are nothing to name; by themselves, or where no policy looks, they are.
          const toName = (place: Place): readonly string[] =>
            looksAt.includes(place) && untrusted(place).length > 0 ? untrusted(place) : valuesAt(place, acting);
          const holds = ({ names }: Given, place: Place): boolean =>
            names[place] === undefined ||
            (toName(place).length > 0 && toName(place).every((value) => names[place]?.includes(value)));
          const isLifted = (place: Place, value: string): boolean =>
            grants.some(
              (one) =>
                one.names[place]?.includes(value) === true &&
                PLACES.every((other) => other === place || holds(one, other)),
            );
          const isGranted = looksAt.every((place) => untrusted(place).every((value) => isLifted(place, value)));
          expect(isAllowed(under, grants, acting)).toBe(isGranted);
          if (isGranted && looksAt.some((place) => untrusted(place).length > 0)) allowedByJoint += 1;
        },
      ),
      RUNS,
    );
    expect(allowedByJoint).toBeGreaterThan(0);
  });

  it('another grant takes nothing away', () => {
    fc.assert(
      fc.property(
        charter,
        fc.array(jointGrant, { maxLength: 3 }),
        jointGrant,
        action,
        ({ charter: under }, grants, more, acting) => {
          if (isAllowed(under, grants, acting)) expect(isAllowed(under, [...grants, more], acting)).toBe(true);
        },
      ),
      RUNS,
    );
  });

  it('a value that no grant names, added where the policy looks, is never let through with the others', () => {
    fc.assert(
      fc.property(charter, fc.array(grant, { maxLength: 4 }), action, ({ looksAt, charter: under }, grants, acting) => {
        const stranger = 'stranger@elsewhere.example';
        for (const place of looksAt) {
          const { to = [], copy } = acting.parameters;
          const changed: Acting = {
            destination: { ...acting, destinations: [...(acting.destinations ?? []), stranger] },
            'parameters.to': { ...acting, parameters: { ...acting.parameters, to: [...to, stranger] } },
            'parameters.copy.hidden': {
              ...acting,
              parameters: { ...acting.parameters, copy: { hidden: [...(copy?.hidden ?? []), stranger] } },
            },
          }[place];
          expect(isAllowed(under, grants, changed)).toBe(false);
        }
      }),
      RUNS,
    );
  });
});
