import kafkajs, { type AclEntry, type Admin } from 'kafkajs';
import type { AccessRule } from '#contracts';

const OPERATIONS = {
  read: kafkajs.AclOperationTypes.READ,
  write: kafkajs.AclOperationTypes.WRITE,
  describe: kafkajs.AclOperationTypes.DESCRIBE,
  'describe-configs': kafkajs.AclOperationTypes.DESCRIBE_CONFIGS,
  create: kafkajs.AclOperationTypes.CREATE,
} as const satisfies Record<AccessRule['operations'][number], number>;

const RESOURCES = { topic: kafkajs.AclResourceTypes.TOPIC, group: kafkajs.AclResourceTypes.GROUP } as const;

const PATTERNS = {
  literal: kafkajs.ResourcePatternTypes.LITERAL,
  prefix: kafkajs.ResourcePatternTypes.PREFIXED,
} as const;

/** Creates what is missing; an ACL that is there stays as it is. */
export async function createAcls(admin: Admin, rules: readonly AccessRule[]): Promise<void> {
  const acl = rules.flatMap(({ principal, resource, name, match, operations }) =>
    operations.map((operation): AclEntry => ({
      principal: `User:${principal}`,
      host: '*',
      operation: OPERATIONS[operation],
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
      resourceType: RESOURCES[resource],
      resourceName: name,
      resourcePatternType: PATTERNS[match],
    })),
  );
  await admin.createAcls({ acl });
}
