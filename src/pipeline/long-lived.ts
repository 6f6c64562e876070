// A connection or response that lasts, in a protocol in which the server can tell its client to connect again.

export interface LongLived {
  /**
   * Closes it as soon as the app has completed what it is writing; may be called again.
   * @param isStop the server stops, so that the client has nothing to return to
   */
  close(isStop: boolean): void;
}
