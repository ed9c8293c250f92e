import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { AGENT_ACCESS, DATABASE_LOGINS, DATABASE_ROLES, SERVICE_ACCESS, SERVICES, TOPICS } from '#contracts';
import { EVENT_STORE_RIGHTS } from '#event-store';
import { RECORD_RIGHTS } from '#record';
import { deployedFiles } from './deployed-files.js';

const ROOT = join(import.meta.dirname, '..');
const files = deployedFiles();
const fileOf = (path: string): string => files.get(path) ?? '';

describe('the files of deploy that administrators run', () => {
  it.each([...files])('%s says what the services need now', (path, text) => {
    // otherwise: node dist/tools/generate-reference.js
    expect(readFileSync(join(ROOT, path), 'utf8')).toBe(text);
  });

  it('create every topic', () => {
    const created = [...fileOf('deploy/kafka/topics.sh').matchAll(/--topic (\S+)/g)].map(([, name]) => name);
    expect(created.sort()).toEqual(
      Object.values(TOPICS)
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('let a service write exactly what its signature counts for, and an agent what agents write', () => {
    const writes = (path: string, principal: string): string[] =>
      fileOf(path)
        .split('\n')
        .filter((line) => line.includes(`User:${principal}`) && line.includes('--operation Write'))
        .map((line) => /--topic (\S+)/.exec(line)?.[1] ?? '')
        .sort();
    for (const service of SERVICES.filter((name) => name !== 'standalone')) {
      expect(writes('deploy/kafka/acls.sh', `remit-${service} `)).toEqual(
        SERVICE_ACCESS[service].writes.map(({ name }) => name).sort(),
      );
    }
    expect(writes('deploy/kafka/agent-acls.sh', '${agent}')).toEqual(
      AGENT_ACCESS.writes.map(({ name }) => name).sort(),
    );
  });

  it('give nobody a right on Kafka to delete, to alter, or to do anything to the cluster', () => {
    const text = fileOf('deploy/kafka/acls.sh') + fileOf('deploy/kafka/agent-acls.sh');
    const operations = new Set([...text.matchAll(/--operation (\w+)/g)].map(([, operation]) => operation));
    expect([...operations].sort()).toEqual(['Describe', 'DescribeConfigs', 'Read', 'Write']);
    expect(text).not.toMatch(/--cluster|--transactional-id|'\*'/);
  });

  it('have a login for every service that uses the database, and a role for every right', () => {
    const services = SERVICES.filter((name) => name !== 'boundary');
    expect(Object.keys(DATABASE_LOGINS)).toEqual(expect.arrayContaining(services));
    const granted = [...EVENT_STORE_RIGHTS, ...Object.values(RECORD_RIGHTS)].map(({ role }) => role);
    expect(granted.sort()).toEqual(Object.values(DATABASE_ROLES).sort());
  });

  it('let nobody update or delete an entry of the audit log, and no service its evidence', () => {
    for (const { role, tables } of Object.values(RECORD_RIGHTS)) {
      for (const table of ['history', 'checkpoint', 'epoch_leaves', 'identity', 'published_checkpoint']) {
        expect([role, table, tables[table]?.filter((right) => right === 'UPDATE' || right === 'DELETE')]).toEqual([
          role,
          table,
          [],
        ]);
      }
    }
  });

  it('hold no password', () => {
    expect(fileOf('deploy/postgres/roles.sql')).not.toMatch(/\bPASSWORD\s+'/);
  });
});
