// What the prover and the fault hook share: the secret that marks a request of the prover's, and what that request asks for.
import { fileURLToPath } from 'node:url';

/** The file that workers load with `--require`. */
export const faultHookFile = fileURLToPath(new URL('../prove/fault-hook.cjs', import.meta.url));
/** The environment variable that passes the secret to the workers. */
export const secretVariable = 'PROVE_SECRET';
/** The request header that must contain `faultText`. */
export const faultHeader = 'x-mpserve-prove';

/** What the event loop does that handles the request. */
export type Fault = 'hang' | 'exit';

/** @param isOfThread only an event loop of a thread does it: with --unit request that of the process sees the request as well */
export function faultText(secret: string, fault: Fault, isOfThread: boolean): string {
  return `${secret} ${fault} ${isOfThread ? 'thread' : 'any'}`;
}
