// Loaded into the workers and threads of the server under test, before the app: blocks the event loop, or ends the thread,
// when a request carries the secret. Only the prover knows the secret, so no client can do this.
import { IncomingMessage, Server } from 'node:http';
import { env } from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { type Fault, faultHeader, faultText, secretVariable } from './fault-secret.js';

const secret = env[secretVariable];

const faults: Readonly<Record<Fault, () => void>> = {
  hang: () => {
    for (;;);
  },
  exit: () => process.exit(1),
};

if (secret) {
  const { emit } = Server.prototype;
  Server.prototype.emit = function (this: Server, name: string, ...args: unknown[]): boolean {
    if (name === 'request') commit(args[0] as IncomingMessage, secret);
    return Reflect.apply(emit, this, [name, ...args]);
  } as typeof emit;
}

// With --unit request no server of a thread need emit 'request', but each request that it makes for the app ends.
if (secret && !isMainThread) {
  const { push } = IncomingMessage.prototype;
  IncomingMessage.prototype.push = function (
    this: IncomingMessage,
    chunk: unknown,
    encoding?: BufferEncoding,
  ): boolean {
    if (chunk === null) commit(this, secret);
    return Reflect.apply(push, this, [chunk, encoding]);
  };
}

function commit({ headers }: IncomingMessage, secret: string): void {
  const given = headers[faultHeader];
  if (given === undefined) return;
  for (const [fault, act] of Object.entries(faults) as [Fault, () => void][]) {
    if (given === faultText(secret, fault, false) || (!isMainThread && given === faultText(secret, fault, true))) act();
  }
}
