import type { Bus } from '#bus';
import { sha256 } from '#contracts';
import { checkCharter } from '#domain';
import { activateCharter } from '#service';

/** Puts a charter in force without the door. Throws what is wrong with one that is refused. */
export async function activateCharterText(bus: Bus, text: string): Promise<void> {
  const checked = checkCharter(text, sha256);
  if (!checked.ok) throw new Error(`the charter is refused: ${JSON.stringify(checked.problems)}`);
  await activateCharter(bus, { text, charter: checked.charter, activatedBy: 'test' });
}
