/** A collector that takes every span and keeps none, as a process of its own. Says its address to its parent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, answer) => {
  request.resume();
  request.on('end', () => answer.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ endpoint: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}` });
});
process.once('disconnect', () => process.exit(0));
