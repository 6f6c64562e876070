// Networks of IP addresses, by name or in CIDR notation (RFC 4632, RFC 4291): which peers may say who their client is.
import { BlockList, isIP } from 'node:net';
import type { Peer } from './peer.js';

/** RFC 1122, RFC 4291; RFC 1918, RFC 4193, RFC 3927. */
const loopback = ['127.0.0.0/8', '::1/128'];
const named: Readonly<Record<string, readonly string[]>> = {
  loopback,
  private: [...loopback, '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'],
};

export const networkNames: readonly string[] = Object.keys(named);

/** Whether it is a name above, an IP address, or a network such as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (bits === undefined) return networkNames.includes(text) || (isIP(text) > 0 && !text.includes('%'));
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return rest.length === 0 && !address.includes('%') && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
}

export class Networks {
  readonly #list = new BlockList();
  readonly #hasLoopback: boolean;

  /** @param texts each of them one of `isNetwork` */
  constructor(texts: readonly string[]) {
    const all = texts.flatMap((text) => named[text] ?? text);
    this.#hasLoopback = all.includes('127.0.0.0/8');
    for (const text of all) {
      const [address = '', bits] = text.split('/');
      const family = familyOf(address);
      this.#list.addSubnet(address, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family);
    }
  }

  /** @param peer its IP address is in any spelling; a client of a Unix socket is in `loopback`, an unknown one in none */
  has(peer: Peer): boolean {
    if (typeof peer === 'string') return peer === 'unix' && this.#hasLoopback;
    const plain = peer.host.replace(/%.*$/, '');
    return isIP(plain) > 0 && this.#list.check(plain, familyOf(plain));
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
