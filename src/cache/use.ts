// Whether a stored response may be used for a request (RFC 9111, sections 4.2.4 and 5.2.1).
import { type Directives, readDirectives, secondsOf } from './directives.js';
import type { RequestFacts } from './request-facts.js';
import type { StoredResponse } from './stored-response.js';

/** `refresh`: it may be used at once, and is validated after that. */
export type Use = 'fresh' | 'stale' | 'refresh' | 'validate';

const noDirectives: Directives = new Map();

/** The directives of a request; an old client sends Pragma instead. */
export function wishesOf({ cacheControl, pragma }: RequestFacts): Directives {
  if (cacheControl !== undefined) return readDirectives(cacheControl);
  return pragma !== undefined && /\bno-cache\b/i.test(pragma) ? readDirectives('no-cache') : noDirectives;
}

/** @param time of `clock.ts` */
export function useOf(stored: StoredResponse, wishes: Directives, time: number): Use {
  const { lifetime, needsValidation, forbidsStale, staleWhileRevalidate } = stored.freshness;
  if (needsValidation || wishes.has('no-cache')) return 'validate';
  const age = stored.ageAt(time);
  const left = lifetime - age;
  const maxAge = secondsOf(wishes, 'max-age');
  if (maxAge !== undefined && age > maxAge) return 'validate';
  // Age in responses is in whole seconds, and a client that names 0 wants no stored response at all.
  if (maxAge === 0) return 'validate';
  const minFresh = secondsOf(wishes, 'min-fresh');
  if (minFresh !== undefined && left < minFresh) return 'validate';
  if (left > 0) return 'fresh';
  const maxStale = wishes.get('max-stale');
  if (maxStale !== undefined && !forbidsStale) {
    if (maxStale === true || -left <= (secondsOf(wishes, 'max-stale') ?? 0)) return 'stale';
  }
  return -left < staleWhileRevalidate ? 'refresh' : 'validate';
}

/** After the app has failed (RFC 5861, section 4). */
export function mayReplaceError(stored: StoredResponse, wishes: Directives, time: number): boolean {
  const { lifetime, staleIfError, forbidsStale } = stored.freshness;
  const allowed = Math.max(staleIfError, forbidsStale ? 0 : (secondsOf(wishes, 'stale-if-error') ?? 0));
  return allowed > 0 && stored.ageAt(time) - lifetime < allowed;
}
