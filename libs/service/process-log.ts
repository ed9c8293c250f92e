import type { Log } from '#telemetry';

/** What of a process its last words need: a stand-in for it in specs. */
export interface WatchedProcess {
  on(event: string, listener: (reason: unknown) => void): unknown;
  removeAllListeners(event: string): unknown;
  exit(code: number): unknown;
}

/**
 * From now on what nobody has caught is the log's last line, with its stack, and the process ends with 1: whatever
 * supervises it starts it anew, and it goes on at its last commit. Node's warnings come through the log as well.
 */
export function logUncaught(log: Log, watched: WatchedProcess = process): void {
  const end = (code: string, message: string) => (error: unknown) => {
    log.write('fatal', { code, message, scope: 'process', error, showsStack: true });
    watched.exit(1);
  };
  watched.on('uncaughtException', end('REMIT_PROCESS_EXCEPTION', 'an error that nobody caught ends this process'));
  watched.on('unhandledRejection', end('REMIT_PROCESS_REJECTION', 'a promise that nobody awaited ends this process'));
  // its only listener so far prints to stderr, in lines of its own
  watched.removeAllListeners('warning');
  watched.on('warning', (warning) => {
    log.write('warn', { code: 'REMIT_PROCESS_WARNING', message: 'Node.js warns', scope: 'process', error: warning });
  });
}
