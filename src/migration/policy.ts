// What a worker does about migration: one value, set from outside whenever it changes.

export interface MigrationPolicy {
  /**
   * Which of the worker's connections migrate: all when the worker drains (`drain`), none (`off`), or now a random part
   * of them, from 0 to 1 (`rebalance`), after which `drain` holds again.
   */
  readonly send: 'drain' | 'off' | { readonly rebalance: number };
  /** Connections are about to migrate to this worker: one that starts a unit for each connection prepares some. */
  readonly receives: boolean;
}

export const defaultPolicy: MigrationPolicy = { send: 'drain', receives: false };
