import type { CaseResult } from '#cases';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Characters that XML 1.0 cannot hold are shown as `?`. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '?')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** The results as JUnit XML, one test case each, so that CI shows them beside its other tests. */
export function junitOf(suite: string, results: readonly CaseResult[]): string {
  const failures = results.filter(({ differences }) => differences.length > 0).length;
  const cases = results.map(({ name, file, differences }) => {
    const head = `    <testcase name="${escaped(name)}" classname="${escaped(file)}"`;
    if (differences.length === 0) return `${head}/>`;
    return `${head}>\n      <failure message="${escaped(differences.join('; '))}"/>\n    </testcase>`;
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites>`,
    `  <testsuite name="${escaped(suite)}" tests="${String(results.length)}" failures="${String(failures)}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}
