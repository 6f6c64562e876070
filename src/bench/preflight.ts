// The preflight of a target, before any measurement: starts the target and sends each request of the scenarios once.
import type { Request } from './job.js';
import type { Scenario } from './scenario.js';
import type { Target } from './target.js';

export interface PreflightResult {
  readonly target: Target;
  size: string;
  /** Of each start. */
  readonly bootMs: number[];
  /** By request, a summary of the response; the same for all targets, or `differences` warns. */
  readonly responses: Map<string, string>;
  /** Why the target cannot be measured; undefined if it can. */
  failure: string | undefined;
}

/** The longest wait for a response (milliseconds). */
const requestTimeoutMs = 10_000;

/** Starts the target, sends each request of `scenarios` once, and stops the target. Never rejects. */
export async function preflight(target: Target, scenarios: readonly Scenario[]): Promise<PreflightResult> {
  const result: PreflightResult = { target, size: '', bootMs: [], responses: new Map(), failure: undefined };
  try {
    const server = await target.start();
    result.bootMs.push(server.bootMs);
    result.size = `${server.workers} × ${server.threads}`;
    try {
      for (const request of new Set(scenarios.flatMap(({ requests }) => requests))) {
        result.responses.set(`${request.method} ${request.path}`, await send(server.origin, request));
      }
    } finally {
      await server.stop();
    }
  } catch (error) {
    result.failure = (error as Error).message;
  }
  return result;
}

/** A warning for each response that differs from the first target's: targets that do different work cannot be compared. */
export function differences(checked: readonly PreflightResult[]): readonly string[] {
  const [first, ...others] = checked.filter(({ failure }) => failure === undefined);
  return others.flatMap(({ target, responses }) =>
    [...responses].flatMap(([request, response]) => {
      const expected = first?.responses.get(request);
      return expected === undefined || expected === response
        ? []
        : [`${target.name} responded to ${request} with ${response}, but ${first?.target.name} with ${expected}`];
    }),
  );
}

/** @returns a summary of the response @throws Error when there is no response, or its status is not 2xx or 3xx */
async function send(origin: string, { path, method, headers, body }: Request): Promise<string> {
  const options = {
    method,
    redirect: 'manual',
    signal: AbortSignal.timeout(requestTimeoutMs),
    ...(body !== undefined && { body }),
  } as const;
  let response: Response;
  let length: number;
  try {
    response = await fetch(new URL(path, origin), { ...options, headers });
    length = (await response.arrayBuffer()).byteLength;
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(
      `the app did not respond to ${method} ${path}: ${(cause as Error | undefined)?.message ?? message}`,
    );
  }
  const { status } = response;
  if (status < 200 || status >= 400) throw new Error(`the app responded to ${method} ${path} with status ${status}`);
  return `${status}, ${response.headers.get('content-type') ?? 'no content-type'}, ${length} bytes`;
}
