import { pathToFileURL } from 'node:url';
import { startBackends } from '../backends/backends.mjs';
import { startJaeger } from '../backends/jaeger.mjs';
import { say } from '../failure.mjs';
import { keptRun } from '../run.mjs';
import { build } from '../setup/build.mjs';
import { doorEnvironment, startSystem } from '../system.mjs';
import { readEnvironment, removeEnvironment, writeEnvironment } from './backends.mjs';
import { built } from './foreground.mjs';

/**
 * `start`: the system until Ctrl-C, on state that is kept; beside `backends --keep`, on those backends. With `--jaeger`,
 * a Jaeger beside it that shows every chain.
 */
export async function start({ root, args, openRun, untilInterrupted }) {
  await build(root);
  const kept = keptRun(root);
  const run = await openRun({ name: 'start', fresh: kept !== undefined, announces: true });
  if (kept !== undefined) say('Using the backends that were left running');
  const backends = kept === undefined ? await startBackends(run) : readEnvironment(root);
  const addresses = { ...backends, ...(args.includes('--jaeger') ? await startJaeger(run) : {}) };
  const processes = await startSystem(run, addresses, { services: args.includes('--services') });
  writeEnvironment(root, { ...addresses, ...doorEnvironment(run, processes) });
  try {
    process.stdout.write(await greeting(run, addresses, processes));
    const lost = await Promise.race([
      untilInterrupted().then(() => undefined),
      ...processes.map((service) => service.exited.then(() => service)),
    ]);
    if (lost === undefined) return 0;
    say(`${lost.name} has ended by itself; its log: ${lost.log}`);
    return 1;
  } finally {
    if (kept === undefined) removeEnvironment(root);
    else writeEnvironment(root, backends);
  }
}

async function greeting(run, addresses, processes) {
  const { TOPICS } = await import(pathToFileURL(built(run.root, 'libs', 'contracts', 'index.js')).href);
  const topics = Object.values(TOPICS);
  const { REMIT_JAEGER_URL } = addresses;
  const width = Math.max(...topics.map(({ name }) => name.length));
  return `
Remit judges. Ctrl-C stops everything.

Broker   ${addresses.KAFKA_BROKERS}
Door     ${doorEnvironment(run, processes).REMIT_DOOR_URL}/v1/, for people: npx remit login --help
${REMIT_JAEGER_URL === undefined ? '' : `Jaeger   ${REMIT_JAEGER_URL}\n`}Health   ${processes.map(({ name, port }) => `${name} http://127.0.0.1:${port}/readyz`).join('\n         ')}
Topics   ${topics.map(({ name, carries }) => `${name.padEnd(width)}  ${carries}`).join('\n         ')}

Send an intent, from another terminal in this folder:

${example(addresses)}

Then see its chain:    npx remit chain my-first-chain
`;
}

/** Works when pasted: an agent asks whether it may, and gets its decision. */
function example({ KAFKA_BROKERS }) {
  return `node_modules/.bin/node --input-type=module -e '
import { RemitAgent } from "#agent";

const agent = await RemitAgent.connect({ agentId: "CloudCostMonitor", brokers: "${KAFKA_BROKERS}".split(",") });
const may = await agent.propose({ type: "read_costs", target: "cloud-billing" }, { chainId: "my-first-chain" });
const mayNot = await agent.propose({ type: "delete", target: "cloud-compute" }, { chainId: "my-first-chain", cause: may });
console.log(may.outcome, may.because);
console.log(mayNot.outcome, mayNot.because);
await agent.close();
'`;
}
