// Prints what the changelog says of a version: node tools/release-notes.mjs v0.1.0. Exits with 1 where that is not the version of
// package.json, or the changelog says nothing of it.
import { readFileSync } from 'node:fs';

const HEADING = /^## \[([^\]]+)\].*$/m;

const [tag = ''] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

/** The text below the heading of a version, up to the next one. */
function sectionOf(changelog, wanted) {
  const [, ...parts] = changelog.split(new RegExp(HEADING, 'gm'));
  const at = parts.findIndex((part, index) => index % 2 === 0 && part === wanted);
  return at === -1 ? '' : parts[at + 1].trim();
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}

const notes = sectionOf(readFileSync('CHANGELOG.md', 'utf8'), version);
if (tag !== `v${version}`) {
  fail(
    `REMIT_RELEASE_TAG: the tag is "${tag}", and package.json has the version ${version}: tag v${version}, or change the version`,
  );
} else if (notes === '') {
  fail(
    `REMIT_RELEASE_NOTES: CHANGELOG.md has no section [${version}], or an empty one: move there what is under "Unreleased"`,
  );
} else {
  process.stdout.write(`${notes}\n`);
}
