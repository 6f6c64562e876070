// Header fields as Node has them raw: names and values in turn.
import { isHeader } from '../http/header.js';

/** Of one connection, and not for the next one (RFC 9110, section 7.6.1). */
const ofConnection = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'];

/** Those that are for the other end, without those that `Connection` names. */
export function endToEnd(raw: readonly string[]): string[] {
  const named: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    if (!isHeader(raw[i] as string, 'connection')) continue;
    named.push(...(raw[i + 1] as string).split(',').map((name) => name.trim().toLowerCase()));
  }
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!ofConnection.includes(name) && !named.includes(name)) fields.push(raw[i] as string, raw[i + 1] as string);
  }
  return fields;
}

/** Names and values, in pairs. */
export function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] as string, raw[2 * i + 1] as string]);
}

/** The head of a response. */
export function headText(firstLine: string, raw: readonly string[]): string {
  return `${firstLine}\r\n${pairs(raw)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;
}
