// Before anything is measured: whether each rival starts, and answers what it will be asked.
import type { Request } from './job.js';
import type { Scenario } from './scenario.js';
import type { Rival } from './target.js';

export interface Checked {
  readonly rival: Rival;
  readonly size: string;
  readonly bootMs: number;
  /** What it has answered to each request, in words; all rivals should say the same. */
  readonly answers: ReadonlyMap<string, string>;
  /** Why it cannot be measured; undefined if it can. */
  readonly failure: string | undefined;
}

/** No request here takes longer than this (milliseconds). */
const patience = 10_000;

/** Starts the rival, asks once for all that `scenarios` ask, and ends it. */
export async function check(rival: Rival, scenarios: readonly Scenario[]): Promise<Checked> {
  let bootMs = Number.NaN;
  let size = '';
  const answers = new Map<string, string>();
  try {
    const server = await rival.start();
    bootMs = server.bootMs;
    size = `${server.workers} × ${server.threads}`;
    try {
      for (const request of new Set(scenarios.flatMap(({ requests }) => requests))) {
        answers.set(`${request.method} ${request.path}`, await ask(server.origin, request));
      }
    } finally {
      await server.stop();
    }
    return { rival, size, bootMs, answers, failure: undefined };
  } catch (error) {
    return { rival, size, bootMs, answers, failure: (error as Error).message };
  }
}

/** A sentence for each answer in which a rival differs from the first: who does other work cannot be compared. */
export function differences(checked: readonly Checked[]): readonly string[] {
  const [first, ...others] = checked.filter(({ failure }) => failure === undefined);
  return others.flatMap(({ rival, answers }) =>
    [...answers].flatMap(([request, answer]) => {
      const usual = first?.answers.get(request);
      return usual === undefined || usual === answer
        ? []
        : [`${request} is answered with ${answer} by ${rival.name}, but with ${usual} by ${first?.rival.name}`];
    }),
  );
}

/** @returns the answer in words. @throws Error when it is none, or one of failure */
async function ask(origin: string, { path, method, headers, body }: Request): Promise<string> {
  const asked = {
    method,
    redirect: 'manual',
    signal: AbortSignal.timeout(patience),
    ...(body !== undefined && { body }),
  } as const;
  let answer: Response;
  let length: number;
  try {
    answer = await fetch(new URL(path, origin), { ...asked, headers });
    length = (await answer.arrayBuffer()).byteLength;
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`${method} ${path} is not answered: ${(cause as Error | undefined)?.message ?? message}`);
  }
  const { status } = answer;
  if (status < 200 || status >= 400) throw new Error(`${method} ${path} is answered with ${status}`);
  return `${status}, ${answer.headers.get('content-type') ?? 'no content-type'}, ${length} bytes`;
}
