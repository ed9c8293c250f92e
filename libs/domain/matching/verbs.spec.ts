import { describe, expect, it } from '@jest/globals';
import { compileVerbSelector, compileVerbUse } from './verbs.js';

describe('a restricted verb', () => {
  const deletes = compileVerbUse('delete');

  /** Operations of real systems that delete by that word, in one form of it or another. */
  it.each(
    (
      'delete deletecollection DELETE bulk-delete bulk_delete bulkDelete force-delete.rows HTTPDelete DELETErows userDELete ' +
      'de_lete delete2 kubernetes:deletecollection DeleteBucket DeleteObject DeleteObjects DeleteObjectVersion DeleteTable ' +
      'DeleteDBInstance DeleteStack DeleteUser DeleteRole DeleteVolume DeleteSnapshot DeleteKeyPair DeleteSecurityGroup ' +
      'DeleteLogGroup DeleteFunction DeleteSecret DeleteHostedZone BatchDeleteImage BatchDeleteTable ScheduleKeyDeletion ' +
      's3:DeleteObject ec2:DeleteVpc dynamodb:DeleteItem DeleteItem deleteMany deleteOne del DEL deleting_rows'
    ).split(' '),
  )('is found in %s', (type) => {
    expect(deletes(type)).toBe(true);
  });

  it.each(
    (
      'get list watch create update patch undelete undeleted_report list_deleted_items GetDeletedSecret delegate deliver ' +
      'model DescribeInstances PutObject GetObject ListBuckets CreateBucket CopyObject RestoreObject'
    ).split(' '),
  )('is not taken for another: %s', (type) => {
    expect(deletes(type)).toBe(false);
  });

  /** What does the same by another word is another verb: charters name it, and their check says where they do not. */
  it.each('rm unlink destroy purge drop truncate TerminateInstances PurgeQueue RemoveTags'.split(' '))(
    'does not stand for another word: %s',
    (type) => {
      expect(deletes(type)).toBe(false);
    },
  );
});

describe('a selection of action types by what restricts', () => {
  const selects = compileVerbSelector(['unlock_account', 'export_*']);

  it.each([
    'unlock_account',
    'Unlock_account',
    'UNLOCK-ACCOUNT',
    'UnlockAccount',
    'unlockaccount',
    'unlock.account',
    'export_rows',
    'exportRows',
    'EXPORT:rows',
  ])('takes %s', (type) => {
    expect(selects(type)).toBe(true);
  });

  it.each(['unlock', 'unlock_accounts', 'exporter', 're_export_rows', 'lock_account'])('leaves out %s', (type) => {
    expect(selects(type)).toBe(false);
  });
});
