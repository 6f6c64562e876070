// What is known of a request when its access line is written.
import type { LineBytes } from './line-bytes.js';
import type { LineOrigin } from './line-origin.js';

export interface AccessEntry {
  readonly origin: LineOrigin;
  readonly reqId: string;
  /** As the client has sent them. */
  readonly method: string;
  readonly url: string;
  /** `1.1`; undefined if unknown, as below. */
  readonly httpVersion: string | undefined;
  /** Names and values in turn; empty if unknown. */
  readonly rawHeaders: readonly string[];
  /** null if the client has left before there was a response. */
  readonly status: number | null;
  /** Written to the connection; null if unknown. */
  readonly bytes: number | null;
  /** Of those, the head of the response. */
  readonly headBytes: number;
  /** From the request to the end of the response. */
  readonly durationMs: number;
  /** In milliseconds of `clock.ts`. */
  readonly endedAt: number;
  /** The client's address, `unix` or `unknown`; null if it is not known any more. */
  readonly remote: string | null;
  /** What the cache has done with it, in a word of ours; undefined without --cache. */
  readonly cache: string | undefined;
  /** It took --slow or longer: the longest block of the event loop meanwhile (milliseconds); undefined if it did not. */
  readonly slowBlockMs: number | undefined;
}

/** Writes the line, with its newline. */
export type AccessFormat = (entry: AccessEntry, line: LineBytes) => void;
