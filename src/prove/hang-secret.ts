// How a worker knows that it is the prover who asks it to stand still.
import { fileURLToPath } from 'node:url';

/** What is loaded into workers. */
export const lure = fileURLToPath(new URL('../prove/hang-hook.cjs', import.meta.url));
/** The variable that a server has the secret from. */
export const secretVariable = 'PROVE_SECRET';
/** The header that has to hold it. */
export const lureHeader = 'x-mpserve-prove';
