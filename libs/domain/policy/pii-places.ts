import { PII_KINDS } from './pii-names.js';

/** How a place of personal data is written: the kind of it, or `*`, a blank, and where it lies in the parameters. */
const PLACE = /^(\*|[a-z-]+) (\/\S*)$/;

function stepsOf(pointer: string): readonly string[] {
  return pointer.split('/').slice(1);
}

/** What is wrong with an exception, for who wrote it; undefined: nothing. */
export function problemOfPlace(exception: string): string | undefined {
  const [, kind] = PLACE.exec(exception) ?? [];
  if (kind === undefined) return `\`${exception}\` is no kind of personal data and place, such as \`email /to\``;
  if (kind === '*' || (PII_KINDS as readonly string[]).includes(kind)) return undefined;
  return `there is no kind of personal data \`${kind}\``;
}

/**
 * The places that no exception covers. An exception covers its kind at its place and below: `email /to` covers `/to` and
 * `/to/0`; a step `*` stands for any one, a kind `*` for every kind.
 */
export function placesExcept(places: readonly string[], exceptions: readonly string[]): readonly string[] {
  const excepted = exceptions.flatMap((exception) => {
    const [, kind, pointer] = PLACE.exec(exception) ?? [];
    return kind === undefined || pointer === undefined ? [] : [{ kind, steps: stepsOf(pointer) }];
  });
  return places.filter((place) => {
    const [kind = '', pointer = ''] = place.split(' ');
    const steps = stepsOf(pointer);
    return !excepted.some(
      (one) =>
        (one.kind === '*' || one.kind === kind) &&
        one.steps.length <= steps.length &&
        one.steps.every((step, index) => step === '*' || step === steps[index]),
    );
  });
}
