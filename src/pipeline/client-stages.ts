// What the stages need that tell clients apart, in one file for the bundle: a worker loads it only if one of them is on.
export { AccessLog } from './access-log.js';
export { ClientLimit } from './client-limit.js';
