import type { ServiceName } from '#contracts';
import { Module, type DynamicModule, type Type } from '@nestjs/common';

/** Injection token of the {@link ServiceIdentity} of this process. */
export const SERVICE_IDENTITY = Symbol('remit.service-identity');

/** Who this process is, in traces, metrics and logs. */
export interface ServiceIdentity {
  /** OpenTelemetry's `service.name`, such as `remit-boundary`. */
  readonly name: string;
  /** Which of the processes it is: for what its signature counts. */
  readonly service: ServiceName;
  readonly version: string;
  /** Which thread of the process this is; `main` unless told. */
  readonly thread?: string | undefined;
}

@Module({})
class IdentityModule {}

@Module({})
class ServiceModule {}

/** A service's root module, in which everything can ask who it belongs to. */
export function moduleWithIdentity(root: Type, identity: ServiceIdentity): DynamicModule {
  const identityModule: DynamicModule = {
    module: IdentityModule,
    global: true,
    providers: [{ provide: SERVICE_IDENTITY, useValue: identity }],
    exports: [SERVICE_IDENTITY],
  };
  return { module: ServiceModule, imports: [identityModule, root] };
}
