import { partialDeepStrictEqual, strictEqual } from 'node:assert/strict';
import type { Decider } from '#event-store';

/** What has happened, and what can be said or asked of it. */
export interface Given<Command, State, Event> {
  readonly state: State;
  readonly when: (command: Command) => When<State, Event>;
}

/** What came of a command. */
export interface When<State, Event> {
  readonly events: readonly Event[];
  /** The state after the events. */
  readonly state: State;
  /** Exactly so many events came, in this order; of each, the fields named are as said. Throws when not. */
  readonly then: (...expected: readonly object[]) => void;
}

/** Given these events, when this command, then those events: for any decider, as its specification. */
export function specificationOf<Command, State, Event extends object>(decider: Decider<Command, State, Event>) {
  const after = (events: readonly Event[], state: State): State =>
    events.reduce((before, event) => decider.evolve(before, event), state);
  return {
    given: (...events: readonly Event[]): Given<Command, State, Event> => {
      const state = after(events, decider.initialState());
      return {
        state,
        when: (command) => {
          const made = decider.decide(command, state);
          return {
            events: made,
            state: after(made, state),
            then: (...expected) => {
              strictEqual(made.length, expected.length, `there came ${JSON.stringify(made, undefined, 2)}`);
              expected.forEach((wanted, i) => partialDeepStrictEqual(made[i], wanted));
            },
          };
        },
      };
    },
  };
}
