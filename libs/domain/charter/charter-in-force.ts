import type { Sha256 } from '../record/digest.js';
import type { CharterEvent } from './charter-events.js';
import { checkCharter } from './check-charter.js';
import type { Charter } from './charter.js';

/** The charter that applies, and who put it there. */
export interface CharterInForce {
  readonly charter: Charter;
  readonly activatedBy: string;
  /** The YAML source. */
  readonly text: string;
  /** The digest that each command has activated, by command id: of this charter and of all before it. */
  readonly activations: ReadonlyMap<string, string>;
}

/**
 * What applies after an event. An activation whose text does not check, or whose digest or name is not that of its
 * text, changes nothing: the old charter stays in force. Neither does one whose command has activated a charter before:
 * a late retry, or a copy, must not bring an old charter back.
 */
export function evolveCharter(
  state: CharterInForce | undefined,
  event: CharterEvent,
  sha256: Sha256,
): CharterInForce | undefined {
  switch (event.event) {
    case 'CharterActivated': {
      const { commandId } = event;
      if (commandId !== undefined && state?.activations.has(commandId) === true) return state;
      const checked = checkCharter(event.text, sha256);
      if (!checked.ok || checked.charter.digest !== event.digest || checked.charter.name !== event.charter)
        return state;
      const { charter } = checked;
      const activations = new Map(state?.activations);
      if (commandId !== undefined) activations.set(commandId, charter.digest);
      return { charter, activatedBy: event.activatedBy, text: event.text, activations };
    }
    default:
      return event.event satisfies never;
  }
}
