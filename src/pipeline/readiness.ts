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
  let last: Answer | undefined;
  for (;;) {
    const left = Math.max(1, deadline - now());
    const answer = await ask(pipeline, path, left);
    if (isGood(answer)) return;
    // No answer to a question that came too late for one says nothing.
    if (typeof answer === 'number' || last === undefined || left > tooLate) last = answer;
    if (now() + pause >= deadline) {
      throw new StartupError(ExitCode.app, `${inWords(path, last)}, ${ms} ms after the app had loaded`);
    }
    await new Promise((later) => setTimeout(later, pause));
  }
}

/** Asks once. @returns undefined when the answer is 2xx or 3xx */
export async function whyNotReady(pipeline: Pipeline, path: string, ms: number): Promise<string | undefined> {
  const answer = await ask(pipeline, path, ms);
  return isGood(answer) ? undefined : inWords(path, answer);
}

/** A status, or why there is none. */
type Answer = number | string;

function isGood(answer: Answer): boolean {
  return typeof answer === 'number' && answer >= 200 && answer < 400;
}

function inWords(path: string, answer: Answer): string {
  const words = typeof answer === 'number' ? `is answered with ${answer}` : `is not answered: ${answer}`;
  return `GET ${path} (--ready-path) ${words}`;
}

function ask(pipeline: Pipeline, path: string, ms: number): Promise<Answer> {
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
