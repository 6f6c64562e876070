// Header fields as Node has them raw: names and values in turn.
import { isHeader } from '../pipeline/response.js';

/** Of one connection, and not for the next one (RFC 9110, section 7.6.1). */
const ofConnection = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'];
const framing = 'transfer-encoding';

/**
 * Those that are for the other end, without those that `Connection` names.
 * @param keepsFraming `Transfer-Encoding` stays: Node then sends the body in chunks, too
 */
export function endToEnd(raw: readonly string[], keepsFraming = false): string[] {
  const named: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!isHeader(raw[i] as string, 'connection')) continue;
    named.push(...(raw[i + 1] as string).split(',').map((name) => name.trim().toLowerCase()));
  }
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const isFraming = name === framing;
    if (isFraming ? keepsFraming : !ofConnection.includes(name) && !named.includes(name))
      fields.push(raw[i] as string, raw[i + 1] as string);
  }
  return fields;
}
