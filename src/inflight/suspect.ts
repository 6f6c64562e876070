import type { Fingerprint } from './fingerprint.js';

/** An entry of the list that operators see. */
export interface Suspect {
  readonly fingerprint: Fingerprint;
  readonly method: string;
  readonly url: string;
  /** Deaths and hangs of workers or threads that count against it. */
  readonly deaths: number;
  /** Time of the last of these (ISO 8601). */
  readonly at: string;
  readonly isRefused: boolean;
}
