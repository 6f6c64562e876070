// Loaded into the workers and threads of a server that is put to the proof, before the app: a request that knows the
// secret makes the event loop that it comes to stand still. It cannot come from anybody else.
import { Server } from 'node:http';
import { env } from 'node:process';
import { lureHeader, secretVariable } from './hang-secret.js';

const secret = env[secretVariable];
const { emit } = Server.prototype;

Server.prototype.emit = function (this: Server, name: string, ...args: unknown[]): boolean {
  if (secret && name === 'request' && knows(args[0], secret)) for (;;);
  return Reflect.apply(emit, this, [name, ...args]);
} as typeof emit;

function knows(request: unknown, secret: string): boolean {
  return (request as { headers: Record<string, unknown> }).headers[lureHeader] === secret;
}
