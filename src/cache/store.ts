// Where responses are kept. A store may be asynchronous: one in another process would be.
import type { Landing } from './flight.js';
import type { StoredResponse } from './stored-response.js';

export type Maybe<T> = T | Promise<T>;

export interface CacheStore {
  /**
   * Responses for the key that nothing has purged, the newest first; each is for other selecting headers. Those that are not for
   * these headers may be left out.
   * @param url in origin form
   */
  get(key: string, url: string, rawHeaders: readonly string[]): Maybe<readonly StoredResponse[]>;
  /** Takes the place of the one for the same selecting headers. @param url in origin form */
  put(key: string, url: string, response: StoredResponse): Maybe<void>;
  /** Forgets one response, if it is still there. */
  drop(key: string, response: StoredResponse): Maybe<void>;
  /** Forgets all responses for this target, whatever their host. */
  delete(url: string): Maybe<void>;
  /** Forgets all responses with this tag. */
  purge(tag: string): Maybe<void>;
  /** No request comes any more. */
  close?(): void;
}

/** The flights of all event loops that have the same store. */
export interface Flights {
  /**
   * Takes a flight for this event loop, unless another one has it.
   * @param onLanded called once if another one has it, when that has ended
   * @returns undefined if there is no room for it: then it is a flight of this event loop only
   */
  take(key: string, onLanded: (landing: Landing) => void): FlightPlace | undefined;
  /** Whether another event loop has it. */
  isTaken(key: string): boolean;
}

export interface FlightPlace {
  readonly isOwn: boolean;
  /** Tells the other event loops of its own flight; of another's, it waits no longer. */
  end(landing: Landing): void;
}
