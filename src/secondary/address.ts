// What a worker asks for when a secondary server of the app listens, and what it is answered. Plain data.
import type { AddressInfo } from 'node:net';

export type SecondaryAddress =
  | {
      readonly kind: 'tcp';
      /** A numeric IP address; absent is every address of the machine, as in Node. */
      readonly host?: string;
      readonly port: number;
      /** For port 0, which of the app's servers on port 0 it is: the same one of all workers shares its socket. */
      readonly index?: number;
      readonly ipv6Only?: boolean;
    }
  /** An absolute path, and the mode of the socket's file. */
  | { readonly kind: 'unix'; readonly path: string; readonly mode: number };

export type SecondaryAnswer =
  /** The socket's address as `net.Server#address()` returns it; without a descriptor, another worker accepts on it. */
  | { readonly address: AddressInfo | string; readonly fd?: number }
  /** It cannot be opened: the code of the system call, such as `EADDRINUSE`, or our own reason in a sentence. */
  | { readonly code: string; readonly reason?: string };

/** How a worker shares the secondary sockets with the others: all accept, the first that asked, or never this one. */
export type SecondaryRole = 'all' | 'first-worker' | 'none';

/** Asks for a socket. @param told called with each answer. @returns a function that gives the socket back */
export type RequestSocket = (address: SecondaryAddress, told: (answer: SecondaryAnswer) => void) => GiveBack;

/** @param isClosed the app has closed its server; otherwise its worker is leaving, and another may want the socket */
export type GiveBack = (isClosed: boolean) => void;

/** The same for addresses that share a socket. */
export function keyOf(address: SecondaryAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const { host = '', port, index = 0, ipv6Only = false } = address;
  return JSON.stringify([host, port, index, ipv6Only]);
}
