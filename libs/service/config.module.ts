import { Module } from '@nestjs/common';
import { loadConfig, type Config } from '#config';

/** Injection token of the process's {@link Config}. */
export const CONFIG = Symbol('remit.config');

/** How the process is set up. */
@Module({
  providers: [{ provide: CONFIG, useFactory: (): Config => loadConfig() }],
  exports: [CONFIG],
})
export class ConfigModule {}
