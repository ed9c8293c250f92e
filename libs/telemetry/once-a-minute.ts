const QUIET_MS = 60_000;
/** So many causes are told apart at once; what comes beyond them shares one turn. */
const MOST_CAUSES = 100;
const OF_THE_OTHERS = Symbol('of the others');

/** Passes on what it is told, and then nothing for a minute: what goes wrong may do so thousands of times a second. */
export function onceAMinute<Told>(tell: (told: Told) => void): (told: Told) => void {
  return onceAMinutePerCause(() => '', tell);
}

/** {@link onceAMinute} for each cause by itself, as `causeOf` names it. */
export function onceAMinutePerCause<Told>(
  causeOf: (told: Told) => string,
  tell: (told: Told) => void,
): (told: Told) => void {
  const toldAt = new Map<string | symbol, number>();
  return (told) => {
    const now = performance.now();
    for (const [cause, at] of toldAt) if (now - at >= QUIET_MS) toldAt.delete(cause);
    const named = causeOf(told);
    const cause = toldAt.has(named) || toldAt.size < MOST_CAUSES ? named : OF_THE_OTHERS;
    if (toldAt.has(cause)) return;
    toldAt.set(cause, now);
    tell(told);
  };
}
