import { Controller, Get, Inject, ServiceUnavailableException } from '@nestjs/common';
import { messageOf, type Bus } from '#bus';

/** One thing a process needs before it can work. */
export interface ReadinessCheck {
  readonly name: string;
  /** `undefined` when ready, else what is missing, for an operator to read. Rejecting counts as not ready. */
  missing(): Promise<string | undefined>;
}

/** One thing that only a new process can mend when it goes wrong. */
export interface LivenessCheck {
  readonly name: string;
  /** `undefined` when all is well, else what is wrong, for an operator to read. Knows it without asking anybody. */
  wrong(): string | undefined;
}

/** Injection token: every {@link ReadinessCheck} of the process. */
export const READINESS_CHECKS = Symbol('remit.readiness-checks');

/** Injection token: every {@link LivenessCheck} of the process. */
export const LIVENESS_CHECKS = Symbol('remit.liveness-checks');

/** A reader may stand still for so long before its process counts as dead, ms. By then it has been made anew twice. */
export const MAX_STANDSTILL_MS = 120_000;

/** Readers that do not read although the brokers answer. What the brokers owe us is no reason to end a process. */
export function readersCheck(bus: Pick<Bus, 'standstills'>): LivenessCheck {
  return {
    name: 'readers',
    wrong: () => {
      const stuck = bus.standstills().filter(({ ms }) => ms > MAX_STANDSTILL_MS);
      if (stuck.length === 0) return undefined;
      return stuck
        .map(
          ({ reader, ms }) => `${reader.group} has not read ${reader.topics.join(', ')} for ${Math.round(ms / 1000)} s`,
        )
        .join('; ');
    },
  };
}

/** What each check misses, by its name; `ok` where that is nothing. Never rejects. */
export async function resultsOf(checks: readonly ReadinessCheck[]): Promise<Record<string, string>> {
  const results = await Promise.all(
    checks.map(async (check) => {
      const missing = await check.missing().catch((error: unknown) => `failed: ${messageOf(error)}`);
      return [check.name, missing ?? 'ok'] as const;
    }),
  );
  return Object.fromEntries(results);
}

/** What is wrong beyond mending, by the name of its check; nothing where all is well. */
export function wrongWith(checks: readonly LivenessCheck[]): Record<string, string> {
  return Object.fromEntries(
    checks.flatMap((check) => {
      const what = check.wrong();
      return what === undefined ? [] : [[check.name, what] as const];
    }),
  );
}

/** Liveness and readiness, as Kubernetes and compose ask for them. */
@Controller()
export class HealthController {
  constructor(
    @Inject(READINESS_CHECKS) private readonly checks: readonly ReadinessCheck[],
    @Inject(LIVENESS_CHECKS) private readonly vital: readonly LivenessCheck[],
  ) {}

  @Get('livez')
  live(): { status: 'ok' } {
    const wrong = wrongWith(this.vital);
    if (Object.keys(wrong).length > 0) {
      throw new ServiceUnavailableException({ status: 'not live', checks: wrong });
    }
    return { status: 'ok' };
  }

  @Get('readyz')
  async ready(): Promise<{ status: 'ok'; checks: Record<string, 'ok'> }> {
    const checks = await resultsOf(this.checks);
    if (Object.values(checks).some((result) => result !== 'ok')) {
      throw new ServiceUnavailableException({ status: 'not ready', checks });
    }
    return { status: 'ok', checks: checks as Record<string, 'ok'> };
  }
}
