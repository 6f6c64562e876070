// Where each connection costs a process or a thread, it takes a while until all have gone over to a new generation. Whoever
// has asked for that is told when they have, or after so long: what lasts, such as WebSockets, does not hold it up.

/** Milliseconds: a little more than the time in which connections are given away under the default --graceful-timeout. */
export const settleMs = 8000;
