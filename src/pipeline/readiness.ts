// Whether the app is ready (--ready-path): asks its own pipeline, over a connection of its own, until the
// answer is a good one. So "ready" means what the app means by it, and not only that it has loaded.

import { request } from 'node:http';
import { now } from '../clock.js';
import { ExitCode, StartupError } from '../errors.js';
import type { Pipeline } from './pipeline.js';

/** Between two questions (milliseconds). */
const pause = 100;
/** The time left for an answer in which none may come, on a slow machine (milliseconds). */
const tooLate = 1000;

/** Settles when `GET path` is answered with 2xx or 3xx. @throws StartupError when it is not, within `ms` milliseconds */
export async function untilReady(pipeline: Pipeline, path: string, ms: number): Promise<void> {
  const deadline = now() + ms;
  let last: number | string | undefined;
  for (;;) {
    const left = Math.max(1, deadline - now());
    const outcome = await ask(pipeline, path, left);
    if (typeof outcome === 'number' && outcome >= 200 && outcome < 400) return;
    // No answer to a question that came too late for one says nothing.
    if (typeof outcome === 'number' || last === undefined || left > tooLate) last = outcome;
    if (now() + pause >= deadline) {
      const words = typeof last === 'number' ? `is answered with ${last}` : `is not answered: ${last}`;
      throw new StartupError(ExitCode.app, `GET ${path} (--ready-path) ${words}, ${ms} ms after the app had loaded`);
    }
    await new Promise((later) => setTimeout(later, pause));
  }
}

/** @returns the status, or why there is none */
function ask(pipeline: Pipeline, path: string, ms: number): Promise<number | string> {
  return new Promise((resolve) => {
    const headers = { host: 'localhost', connection: 'close' };
    const sent = request({ path, headers, createConnection: () => pipeline.connect() });
    const late = setTimeout(() => sent.destroy(new Error('no answer in time')), ms);
    sent.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.once('error', (error) => resolve(error.message));
    sent.once('close', () => clearTimeout(late));
    sent.end();
  });
}
