// What the prover and the hang hook share: the secret that marks a request of the prover's.
import { fileURLToPath } from 'node:url';

/** The file that workers load with `--require`. */
export const hangHookFile = fileURLToPath(new URL('../prove/hang-hook.cjs', import.meta.url));
/** The environment variable that passes the secret to the workers. */
export const secretVariable = 'PROVE_SECRET';
/** The request header that must contain the secret. */
export const secretHeader = 'x-mpserve-prove';
