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
}

/**
 * What applies after an event. An activation whose text does not check, or whose digest or name is not that of its
 * text, changes nothing: the old charter stays in force.
 */
export function evolveCharter(
  state: CharterInForce | undefined,
  event: CharterEvent,
  sha256: Sha256,
): CharterInForce | undefined {
  switch (event.event) {
    case 'CharterActivated': {
      const checked = checkCharter(event.text, sha256);
      if (!checked.ok || checked.charter.digest !== event.digest || checked.charter.name !== event.charter)
        return state;
      return { charter: checked.charter, activatedBy: event.activatedBy, text: event.text };
    }
    default:
      return event.event satisfies never;
  }
}
