// Where responses are kept. A store may be asynchronous: one in another process would be.
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
