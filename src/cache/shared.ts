// What --cache-store shared needs: one file to load.
export { KeyHasher } from './key-hash.js';
export { SharedFlights } from './shared-flights.js';
export { SharedStore } from './shared-store.js';
