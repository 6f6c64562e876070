// Why the store has not done what it was asked.
import type { CacheStoreError } from '../../metrics/layout.js';

export class StoreFailure extends Error {
  override readonly name = 'StoreFailure';
  constructor(
    readonly kind: CacheStoreError,
    message: string,
  ) {
    super(message);
  }
}

/** An answer of the server that cannot be right. */
export function garbage(what: string): StoreFailure {
  return new StoreFailure('garbage', `an invalid answer: ${what}`);
}

const maxReason = 200;

/** For the log: text of the server is in it. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, maxReason) : 'unknown';
}

/** The server has no memory for more. */
export function isFull(error: unknown): boolean {
  return error instanceof StoreFailure && /^(?:OOM|EXECABORT)/.test(error.message);
}

export function isGarbage(error: unknown): boolean {
  return error instanceof StoreFailure && error.kind === 'garbage';
}

/** @throws any other error */
export function ignoreRefusal(error: unknown): undefined {
  if (!(error instanceof StoreFailure) || error.kind !== 'refused') throw error;
}
