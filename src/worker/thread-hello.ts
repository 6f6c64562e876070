// A thread's first message to its host, on the port that the app has as well: which port to talk on from now on.
import { MessagePort } from 'node:worker_threads';

export interface Hello {
  /** The key from `ThreadData`. */
  readonly mpserve: string;
  readonly port: MessagePort;
}

/** In place of a descriptor: piscina starts a thread for a task, so a task without a connection starts one. */
export const noConnection = -1;

/** Whether it is a thread's first message, and not one of the app. */
export function isHello(message: unknown, key: string): message is Hello {
  if (typeof message !== 'object' || message === null) return false;
  const { mpserve, port } = message as Partial<Hello>;
  return mpserve === key && port instanceof MessagePort;
}
