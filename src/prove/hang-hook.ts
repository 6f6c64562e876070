// Loaded into the workers and threads of the server under test, before the app: blocks the event loop when a request
// carries the secret. Only the prover knows the secret, so no client can block the event loop.
import { Server } from 'node:http';
import { env } from 'node:process';
import { secretHeader, secretVariable } from './hang-secret.js';

const secret = env[secretVariable];
const { emit } = Server.prototype;

Server.prototype.emit = function (this: Server, name: string, ...args: unknown[]): boolean {
  if (secret && name === 'request' && hasSecret(args[0], secret)) for (;;);
  return Reflect.apply(emit, this, [name, ...args]);
} as typeof emit;

function hasSecret(request: unknown, secret: string): boolean {
  return (request as { headers: Record<string, unknown> }).headers[secretHeader] === secret;
}
