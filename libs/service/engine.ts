/**
 * Name and version of the engine, recorded in every decision. A change that can alter any verdict changes the version:
 * replay demands equal decisions of equal engines.
 */
export const ENGINE = 'remit/6';

/** Version of this software, as package.json has it. */
export const VERSION = '0.1.0';
