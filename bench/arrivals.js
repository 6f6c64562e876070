// Requests that come at random at a steady rate, some of which are heavy: an open loop.
import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

/** @returns when each request is due (milliseconds from the first one), and whether it is heavy */
export function arrivalsAt(rate, seconds, heavyShare) {
  const arrivals = [];
  for (let due = 0; due < seconds * 1000; due += (-Math.log(1 - Math.random()) * 1000) / rate) {
    arrivals.push({ due, isHeavy: Math.random() < heavyShare });
  }
  return arrivals;
}

/** Calls `send` for each arrival when it is due after `began`, whether or not earlier ones are done. Settles when all are. */
export async function sendWhenDue(arrivals, began, send) {
  const pending = [];
  for (const arrival of arrivals) {
    const early = began + arrival.due - performance.now();
    if (early > 0) await pause(early);
    pending.push(send(arrival));
  }
  await Promise.all(pending);
}

/** @param agent false for a connection of its own. @returns whether the response is a 200; false if there is none */
export function visit(port, path, agent = false) {
  return new Promise((resolve) => {
    const sent = request({ agent, port, host: '127.0.0.1', path }, (response) => {
      response
        .resume()
        .once('end', () => resolve(response.statusCode === 200))
        .once('error', () => resolve(false));
    });
    sent.once('error', () => resolve(false)).end();
  });
}

/** @param values are sorted by this. @param part from 0 to 1 */
export function percentile(values, part) {
  return values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(part * values.length))];
}
