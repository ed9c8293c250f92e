import { Controller, Get, Inject, ServiceUnavailableException } from '@nestjs/common';
import { messageOf } from '#bus';

/** One thing a process needs before it can work. */
export interface ReadinessCheck {
  readonly name: string;
  /** `undefined` when ready, else what is missing, for an operator to read. Rejecting counts as not ready. */
  missing(): Promise<string | undefined>;
}

/** Injection token: every {@link ReadinessCheck} of the process. */
export const READINESS_CHECKS = Symbol('remit.readiness-checks');

/** Liveness and readiness, as Kubernetes and compose ask for them. */
@Controller()
export class HealthController {
  constructor(@Inject(READINESS_CHECKS) private readonly checks: readonly ReadinessCheck[]) {}

  @Get('livez')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  async ready(): Promise<{ status: 'ok'; checks: Record<string, 'ok'> }> {
    const results = await Promise.all(
      this.checks.map(async (check) => {
        const missing = await check.missing().catch((error: unknown) => `failed: ${messageOf(error)}`);
        return [check.name, missing ?? 'ok'] as const;
      }),
    );
    const checks = Object.fromEntries(results);
    if (results.some(([, result]) => result !== 'ok')) {
      throw new ServiceUnavailableException({ status: 'not ready', checks });
    }
    return { status: 'ok', checks: checks as Record<string, 'ok'> };
  }
}
