import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const SCRIPT = join(process.cwd(), 'tools', 'release-notes.mjs');
const CHANGELOG = `# Changelog

## [Unreleased]

## [1.2.0] - 2026-12-01

### Added

- Something new.

## [1.1.0] - 2026-11-01

- Something old.

## [1.0.0] - 2026-10-01
`;

describe('the notes of a release', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'remit-release-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function notesOf(tag: string, version: string) {
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ version }));
    writeFileSync(join(folder, 'CHANGELOG.md'), CHANGELOG);
    const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, tag], { cwd: folder, encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  it('are what the changelog says of that version, and of no other', () => {
    expect(notesOf('v1.2.0', '1.2.0')).toEqual({ status: 0, stdout: '### Added\n\n- Something new.\n', stderr: '' });
    expect(notesOf('v1.1.0', '1.1.0').stdout).toBe('- Something old.\n');
  });

  it('are refused for a tag that is not the version of the package', () => {
    expect(notesOf('v1.2.0', '1.1.0')).toMatchObject({ status: 1, stdout: '' });
    expect(notesOf('v1.2.0', '1.1.0').stderr).toContain('REMIT_RELEASE_TAG');
  });

  it.each(['1.0.0', '2.0.0', '1x2.0'])('are refused for version %s, of which the changelog says nothing', (version) => {
    expect(notesOf(`v${version}`, version)).toMatchObject({ status: 1, stdout: '' });
    expect(notesOf(`v${version}`, version).stderr).toContain('REMIT_RELEASE_NOTES');
  });
});
