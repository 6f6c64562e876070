// Parses one HTTP response strictly (RFC 9112). Knows no sockets.

/**
 * @param {string} text the bytes received since the request was sent, in latin1
 * @returns undefined while the response is incomplete; else `status`, `body`, and `closes`, whether the server will close
 * the connection
 * @throws Error if the response is invalid or has no defined length, or if bytes follow it
 */
export function parseResponse(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first, ...lines] = text.slice(0, end).split('\r\n');
  const [, minor, status] = /^HTTP\/1\.([01]) ([2-5]\d\d)(?: |$)/.exec(first) ?? fail(`invalid status line: ${first}`);
  const fields = fieldsOf(lines);
  const content = contentOf(fields, text.slice(end + 4));
  if (content === undefined) return undefined;
  if (content.rest !== '') fail('bytes after the response');
  const options = (fields.get('connection') ?? '').toLowerCase().split(/\s*,\s*/);
  const closes = options.includes('close') || (minor === '0' && !options.includes('keep-alive'));
  return { status: Number(status), body: content.body, closes };
}

function fieldsOf(lines) {
  const fields = new Map();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? fail(`invalid header: ${line}`);
    const key = name.toLowerCase();
    fields.set(key, fields.has(key) ? `${fields.get(key)}, ${value}` : value);
  }
  return fields;
}

/** @returns the `body` and the `rest` after it; undefined while incomplete */
function contentOf(fields, text) {
  const [length, coding] = [fields.get('content-length'), fields.get('transfer-encoding')];
  if (length !== undefined && coding !== undefined) fail('both content-length and transfer-encoding');
  if (coding !== undefined)
    return coding.toLowerCase() === 'chunked' ? chunksOf(text) : fail(`unsupported transfer-encoding ${coding}`);
  // Without a length the end of the connection ends the body, so a truncated body could not be detected.
  if (length === undefined) fail('no content-length or transfer-encoding');
  if (!/^\d+$/.test(length)) fail(`invalid content-length ${length}`);
  const size = Number(length);
  return text.length < size ? undefined : { body: text.slice(0, size), rest: text.slice(size) };
}

function chunksOf(text) {
  let [body, rest] = ['', text];
  for (;;) {
    const end = rest.indexOf('\r\n');
    if (end < 0) return undefined;
    const [, digits] = /^([\da-f]+)(?:[ \t]*;.*)?$/i.exec(rest.slice(0, end)) ?? fail('invalid chunk size');
    const size = Number.parseInt(digits, 16);
    rest = rest.slice(end + 2);
    if (size === 0) return trailersOf(body, rest);
    if (rest.length < size + 2) return undefined;
    if (rest.slice(size, size + 2) !== '\r\n') fail('chunk longer than its size');
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

function trailersOf(body, text) {
  if (text.startsWith('\r\n')) return { body, rest: text.slice(2) };
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? undefined : { body, rest: text.slice(end + 4) };
}

function fail(message) {
  throw new Error(message);
}
