// Where to listen: `host:port`, `[v6]:port` or `unix:path`, as a value. Opens nothing and asks no name server.
import { isIPv4, isIPv6 as matchesIPv6 } from 'node:net';
import type { Reading } from './kind.js';

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

const shape = 'be host:port, [v6]:port or unix:path';
/** RFC 1123 section 2.1, and the underscore that container networks allow. */
const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i;

/** Also takes `:port`, which is every IPv4 address, and a bare port, which is 127.0.0.1. Port 0 is any free one. */
export function readAddress(text: string): Reading<Address> {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path && !path.includes('\0') ? { value: { kind: 'unix', path } } : { refused: 'name a file after unix:' };
  }
  if (text.includes('//')) return { refused: `${shape}, without a scheme such as http://` };
  const parts = /^(?:(?<host>.*):)?(?<port>[^:]*)$/s.exec(text)?.groups;
  const host = parts?.host;
  const port = parts?.port ?? '';
  if (isIPv6(text) || isIPv6(host ?? '')) return { refused: 'have its IPv6 address in brackets, as in [::1]:8080' };
  if (!/^\d+$/.test(port)) {
    return { refused: host === undefined && isHost(text) ? 'end in a port, as in localhost:8080' : shape };
  }
  if (Number(port) > 65535) return { refused: 'have a port from 0 to 65535' };
  if (host === undefined) return { value: { kind: 'tcp', host: '127.0.0.1', port: Number(port) } };
  if (host === '') return { value: { kind: 'tcp', host: '0.0.0.0', port: Number(port) } };
  if (host.includes('%'))
    return { refused: 'have no zone (%eth0): listen on [::], or on an address that is not of one link' };
  const bracketed = /^\[(.*)\]$/.exec(host)?.[1];
  if (bracketed === undefined ? !isHost(host) : !isIPv6(bracketed)) return { refused: shape };
  return { value: { kind: 'tcp', host: bracketed ?? host, port: Number(port) } };
}

/** As `readAddress` reads it: `127.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock`. */
export function formatAddress(address: Address): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** As `isIPv6` of `node:net`, but compiles Node's regular expression, which takes 3 to 17 ms, only for what may match. */
export function isIPv6(text: string): boolean {
  return text.indexOf(':') !== text.lastIndexOf(':') && matchesIPv6(text);
}

/** A name of digits and dots alone is a mistyped IPv4 address. */
function isHost(text: string): boolean {
  return isIPv4(text) || (hostName.test(text) && !/^[\d.]+$/.test(text));
}
