// Parses and formats listen addresses: `host:port`, `[v6]:port` or `unix:path`. Opens no socket and resolves no name.
import { isIPv4, isIPv6 as matchesIPv6 } from 'node:net';
import type { Reading } from './reading.js';

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const format = 'be host:port, [v6]:port or unix:path';
/** RFC 1123 section 2.1, and the underscore that container networks allow. */
const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i;

/** Also accepts `:port` (every IPv4 address) and a bare port (127.0.0.1). Port 0 lets the kernel pick a free port. */
export function readAddress(text: string): Reading<Address> {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path && !path.includes('\0') ? { value: { kind: 'unix', path } } : { refused: 'name a file after unix:' };
  }
  if (text.includes('//')) return { refused: `${format}, without a scheme such as http://` };
  const parts = /^(?:(?<host>.*):)?(?<port>[^:]*)$/s.exec(text)?.groups;
  const host = parts?.host;
  const port = parts?.port ?? '';
  if (isIPv6(text) || isIPv6(host ?? '')) return { refused: 'have its IPv6 address in brackets, as in [::1]:8080' };
  if (!/^\d+$/.test(port)) {
    return { refused: host === undefined && isHost(text) ? 'end in a port, as in localhost:8080' : format };
  }
  if (Number(port) > 65535) return { refused: 'have a port from 0 to 65535' };
  if (host === undefined) return { value: { kind: 'tcp', host: '127.0.0.1', port: Number(port) } };
  if (host === '') return { value: { kind: 'tcp', host: '0.0.0.0', port: Number(port) } };
  if (host.includes('%'))
    return { refused: 'have no zone (%eth0): listen on [::] or on an address that is not link-local' };
  const bracketed = /^\[(.*)\]$/.exec(host)?.[1];
  if (bracketed === undefined ? !isHost(host) : !isIPv6(bracketed)) return { refused: format };
  return { value: { kind: 'tcp', host: bracketed ?? host, port: Number(port) } };
}

/** A host name or an IP address without a port; an IPv6 address may have brackets. */
export function readHost(text: string): Reading<string> {
  const reading = readAddress(`${isIPv6(text) ? `[${text}]` : text}:0`);
  return text !== '' && 'value' in reading && reading.value.kind === 'tcp'
    ? { value: reading.value.host }
    : { refused: 'be a host name or an IP address, without a port' };
}

/** In the form that `readAddress` reads: `127.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock`. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/**
 * `isIPv6` of `node:net` with a cheap check before it: Node compiles its regular expression at the first call, which
 * takes 3 to 17 ms.
 */
export function isIPv6(text: string): boolean {
  return text.indexOf(':') !== text.lastIndexOf(':') && matchesIPv6(text);
}

/** Rejects names that have only digits and dots: they are mistyped IPv4 addresses. */
function isHost(text: string): boolean {
  return isIPv4(text) || (hostName.test(text) && !/^[\d.]+$/.test(text));
}
