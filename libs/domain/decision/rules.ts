/**
 * Rules that come with Remit and can be neither shadowed nor switched off: without them an intent would be judged
 * by nothing. Boundaries are the same by nature.
 */
export const IMMUTABLE_RULES = [
  'unknown-agent',
  'unknown-system',
  'suspended',
  'not-approved',
  'layer-error',
  'no-active-charter',
  'authority-unknown',
  'not-kept',
  'charter-differs',
] as const;

/** Rules that come with Remit and may be introduced step by step, each under its own name. */
export const ROLLED_OUT_RULES = ['intended-scope', 'integration-approval', 'integration-scope'] as const;

/** The rule that an action needs this permission. */
export function requiredPermissionRule(permission: string): string {
  return `required-permission:${permission}`;
}
