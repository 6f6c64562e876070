// What counts and watches requests for --admin, loaded together.
export { Counting } from './counting.js';
export { LastRequest } from './last-request.js';
