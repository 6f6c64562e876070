// Reads and checks the file of `--requests`.
import { readFileSync } from 'node:fs';
import { ExitCode, StartupError } from '../errors.js';
import type { Request } from './job.js';

/** @param file a JSON array of `{path, method, headers, body}`; only `path` is required. @throws StartupError */
export function readRequests(file: string): readonly Request[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw wrong(`--requests cannot read ${file}: ${(error as Error).message}`);
  }
  if (!Array.isArray(content) || content.length === 0) {
    throw wrong(`--requests must name a JSON array of requests such as [{"path": "/"}]; ${file} has none`);
  }
  return content.map((entry: unknown, i) => readRequest(entry, `request ${i + 1} in ${file}`));
}

const keys = ['path', 'method', 'headers', 'body'];

function readRequest(entry: unknown, where: string): Request {
  if (typeof entry !== 'object' || entry === null) throw wrong(`${where} must be an object with a path`);
  const { path, method = 'GET', headers = {}, body } = entry as Record<string, unknown>;
  const unknown = Object.keys(entry).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw wrong(`${where} has the unknown key '${unknown}'; use ${keys.join(', ')}`);
  if (typeof path !== 'string' || !/^\/[\x21-\x7e]*$/.test(path))
    throw wrong(`the path of ${where} must start with / and be percent-encoded: %20 for a space, %C3%BC for ü`);
  if (typeof method !== 'string' || !/^[A-Z]+$/.test(method))
    throw wrong(`the method of ${where} must be in capitals, such as GET`);
  if (body !== undefined && typeof body !== 'string') throw wrong(`the body of ${where} must be a string`);
  return { path, method, headers: readHeaders(headers, where), ...(body === undefined ? {} : { body }) };
}

function readHeaders(headers: unknown, where: string): Request['headers'] {
  const entries =
    typeof headers === 'object' && headers !== null && !Array.isArray(headers) ? Object.entries(headers) : undefined;
  // RFC 9110, section 5: a name is a token, a value has no control characters.
  const isValid = entries?.every(
    ([name, value]) =>
      /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value),
  );
  if (!entries || !isValid)
    throw wrong(`the headers of ${where} must be an object of strings, such as {"accept": "text/html"}`);
  // In lower case, a header replaces that of the load generator with the same name.
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value])) as Request['headers'];
}

function wrong(message: string): StartupError {
  return new StartupError(ExitCode.config, message);
}
