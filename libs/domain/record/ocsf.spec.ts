import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { OCSF_VERSION, ocsfEventOf, type OcsfSource } from './ocsf.js';

/** The class as OCSF publishes it, with every object it refers to. */
const PUBLISHED = join(import.meta.dirname, '../../../test/cases/ocsf/api-activity-1.5.0.schema.json');
const schema = JSON.parse(readFileSync(PUBLISHED, 'utf8')) as { $id: string };
const isApiActivity = new Ajv2020({ strict: false, validateFormats: false }).compile(schema);

const nothing: OcsfSource = {
  topic: 'agent.actions',
  partition: 0,
  offset: 7,
  appendTime: 1_764_000_000_000,
  eventType: null,
  eventId: null,
  agentId: null,
  intentId: null,
  chainId: null,
  actionType: null,
  target: null,
  outcome: null,
  traceId: null,
};

describe('what a SIEM gets', () => {
  it('is of the version that it names', () => {
    expect(schema.$id).toBe(`https://schema.ocsf.io/schema/${OCSF_VERSION}/classes/api_activity`);
  });

  it.each(['allow', 'deny', 'hold', 'executed', 'failed', 'rolled-back', null])(
    'a decision or report with outcome %s fits the published schema',
    (outcome) => {
      const event = ocsfEventOf({
        ...nothing,
        eventType: 'io.remit.decision.v1',
        eventId: 'e',
        agentId: 'payer',
        intentId: 'i',
        chainId: 'payroll',
        actionType: 'transfer',
        target: 'ledger',
        outcome,
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      });
      expect([isApiActivity(event), isApiActivity.errors]).toEqual([true, null]);
      expect(event).toMatchObject({
        actor: { app_name: 'payer' },
        api: { operation: 'transfer' },
        time: 1_764_000_000_000,
      });
    },
  );

  it('a message nobody could read fits it too', () => {
    expect([isApiActivity(ocsfEventOf(nothing)), isApiActivity.errors]).toEqual([true, null]);
  });

  it('what does not fit would be noticed', () => {
    expect(isApiActivity({ ...ocsfEventOf(nothing), severity_id: 1000 })).toBe(false);
    expect(isApiActivity({ ...ocsfEventOf(nothing), surprise: 1 })).toBe(false);
  });
});
