import { SetupFailure, say } from '../failure.mjs';
import { lastLines, sleep } from '../processes.mjs';

/** A busy machine is slow; a server that cannot start ends by itself and is noticed at once. */
const READY_TIMEOUT_MS = 120_000;
const ATTEMPTS = 3;

/**
 * Starts a server and waits until it answers over HTTP; with other ports when somebody took them in between.
 *
 * @template Answer
 * @param {{ name: string, title: string, failure: string }} who `failure`: the code of its failure to start
 * @param {() => Promise<{ command: string, args: string[], env?: Record<string, string>, readyAt: string,
 *   answer: Answer }>} prepare chooses ports; `readyAt` answers with less than 500 once it is up
 * @returns {Promise<Answer>}
 */
export async function startHttpServer(run, { name, title, failure }, prepare) {
  for (let attempt = 1; ; attempt += 1) {
    const { command, args, env = {}, readyAt, answer } = await prepare();
    const started = performance.now();
    const server = run.start({
      name,
      command,
      args,
      cwd: run.folder,
      env: { ...process.env, ...env },
      log: `${name}.log`,
    });
    if (await answers(server, readyAt)) {
      say(`${title}: ${new URL(readyAt).origin} (${Math.round(performance.now() - started)} ms)`);
      return answer;
    }
    await run.stop(server, 0);
    const log = lastLines(server.log);
    if (!/address already in use/i.test(log) || attempt === ATTEMPTS) {
      throw new SetupFailure(failure, `${title} did not start; the end of ${server.log}:\n${log}`);
    }
  }
}

async function answers(server, url) {
  let ended = false;
  void server.exited.then(() => (ended = true));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!ended && performance.now() < deadline) {
    const isReady = await fetch(url, { signal: AbortSignal.timeout(2000) }).then(
      ({ status }) => status < 500,
      () => false,
    );
    if (isReady) return !ended;
    await sleep(100);
  }
  return false;
}
