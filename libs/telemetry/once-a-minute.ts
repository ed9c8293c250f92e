const QUIET_MS = 60_000;

/** Passes on what it is told, and then nothing for a minute: what goes wrong may do so thousands of times a second. */
export function onceAMinute<Told>(tell: (told: Told) => void): (told: Told) => void {
  let toldAt = -Infinity;
  return (told) => {
    if (performance.now() - toldAt < QUIET_MS) return;
    toldAt = performance.now();
    tell(told);
  };
}
