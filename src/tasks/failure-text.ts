// An error of the app as a text, with what belongs to its response.
import { type ErrorRecord, errorRecord, HttpError } from '../errors.js';

interface Failure extends ErrorRecord {
  /** Of what has caused it. */
  readonly cause?: ErrorRecord;
  /** That the app had set before it. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

type Headers = Readonly<Record<string, number | string | readonly string[] | undefined>>;

/** @returns the status of an `HttpError`, or 0, and the text */
export function failureText(error: unknown, headers: Headers): readonly [status: number, text: string] {
  if (!(error instanceof HttpError)) return [0, JSON.stringify(errorRecord(error))];
  const failure: Failure = {
    ...errorRecord(error),
    ...(error.cause !== undefined && { cause: errorRecord(error.cause) }),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, asText(value)])),
  };
  return [error.status, JSON.stringify(failure)];
}

/** @returns an error like that of the app, and the headers that it had set before it */
export function readFailure(status: number, text: string): readonly [Error, NonNullable<Failure['headers']>] {
  const { cause, headers = {}, ...record } = JSON.parse(text) as Failure;
  if (status === 0) return [asError(record), headers];
  return [new HttpError(status, record.message, { cause: asError(cause ?? record) }), headers];
}

function asError({ type, message, stack }: ErrorRecord): Error {
  const error = new Error(message);
  return Object.defineProperties(error, {
    name: { value: type, configurable: true, writable: true },
    stack: { value: stack, configurable: true, writable: true },
  });
}

function asText(value: Headers[string]): string | readonly string[] {
  return typeof value === 'object' ? value.map(String) : String(value);
}
