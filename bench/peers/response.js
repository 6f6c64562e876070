// What a client that guesses nothing makes of the bytes of one answer (RFC 9112). Knows no sockets.

/**
 * @param {string} text what has come since the request was sent, a character for each byte
 * @returns undefined while it is incomplete, else `status`, `body`, and `closes`: that the server announces the end
 * @throws Error if it is no answer whose end can be told, or if something comes after its end
 */
export function readAnswer(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first, ...lines] = text.slice(0, end).split('\r\n');
  const [, minor, status] = /^HTTP\/1\.([01]) ([2-5]\d\d)(?: |$)/.exec(first) ?? fail(`no status line: ${first}`);
  const fields = fieldsOf(lines);
  const content = contentOf(fields, text.slice(end + 4));
  if (content === undefined) return undefined;
  if (content.rest !== '') fail('bytes after the end of an answer');
  const options = (fields.get('connection') ?? '').toLowerCase().split(/\s*,\s*/);
  const closes = options.includes('close') || (minor === '0' && !options.includes('keep-alive'));
  return { status: Number(status), body: content.body, closes };
}

function fieldsOf(lines) {
  const fields = new Map();
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? fail(`no field: ${line}`);
    const key = name.toLowerCase();
    fields.set(key, fields.has(key) ? `${fields.get(key)}, ${value}` : value);
  }
  return fields;
}

/** @returns `body` and the `rest` behind it. */
function contentOf(fields, text) {
  const [length, coding] = [fields.get('content-length'), fields.get('transfer-encoding')];
  if (length !== undefined && coding !== undefined) fail('two lengths');
  if (coding !== undefined) return coding.toLowerCase() === 'chunked' ? chunksOf(text) : fail(`coding ${coding}`);
  // Only the end of the connection would end it, and that cannot be told from one that was cut.
  if (length === undefined) fail('no length');
  if (!/^\d+$/.test(length)) fail(`length ${length}`);
  const size = Number(length);
  return text.length < size ? undefined : { body: text.slice(0, size), rest: text.slice(size) };
}

function chunksOf(text) {
  let [body, rest] = ['', text];
  for (;;) {
    const end = rest.indexOf('\r\n');
    if (end < 0) return undefined;
    const [, digits] = /^([\da-f]+)(?:[ \t]*;.*)?$/i.exec(rest.slice(0, end)) ?? fail('no size of a chunk');
    const size = Number.parseInt(digits, 16);
    rest = rest.slice(end + 2);
    if (size === 0) return trailersOf(body, rest);
    if (rest.length < size + 2) return undefined;
    if (rest.slice(size, size + 2) !== '\r\n') fail('a chunk longer than it says');
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

function trailersOf(body, text) {
  if (text.startsWith('\r\n')) return { body, rest: text.slice(2) };
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? undefined : { body, rest: text.slice(end + 4) };
}

function fail(what) {
  throw new Error(what);
}
