// The sockets of the app's secondary servers, one for each address, and the workers that listen on them. Used by the
// supervisor, whose workers are processes, and by a process that hosts threads. A socket stays open while a worker of the
// current generation may ask for it again. docs/decisions/0020-secondary-sockets.md says why.
import type { AddressInfo } from 'node:net';
import { putBack } from '../os/socket-file.js';
import {
  type GiveBack,
  keyOf,
  type RequestSocket,
  type SecondaryAddress,
  type SecondaryAnswer,
  type SecondaryRole,
} from './address.js';

/** A worker that asks. */
export interface SocketUser {
  readonly generation: number;
  readonly secondary: SecondaryRole;
  /** Settles when it has ended. */
  readonly exit: Promise<unknown>;
  /** The descriptor, if any, stays ours: the worker gets a copy. */
  answerSocket(id: number, answer: SecondaryAnswer): void;
}

interface Use {
  readonly user: SocketUser;
  readonly id: number;
  /** It has been given the descriptor. */
  accepts: boolean;
  /** It has had an answer. */
  isAnswered: boolean;
}

interface SharedSocket {
  readonly key: string;
  readonly address: SecondaryAddress;
  readonly uses: Use[];
  /** The newest that listens on it, or the last one that did. */
  generation: number;
  answer: SecondaryAnswer | undefined;
  giveBack: GiveBack;
}

/** Sockets that are open at the same time: an app that opens more has a fault, and would use up the descriptors. */
export const maxSockets = 64;

export class SharedSockets {
  readonly #request: RequestSocket;
  readonly #sockets = new Map<string, SharedSocket>();
  readonly #users = new Set<SocketUser>();
  /** The generation that serves; undefined while it starts. */
  #current: number | undefined;
  #isClosed = false;

  /** @param request opens a socket, or asks for it */
  constructor(request: RequestSocket) {
    this.#request = request;
  }

  /** A worker asks for the socket of an address; it is answered now or later, perhaps several times. */
  listen(user: SocketUser, id: number, address: SecondaryAddress): void {
    const key = keyOf(address);
    const known = this.#sockets.get(key);
    const failure = known && address.kind === 'unix' ? putBack(address.path) : undefined;
    if (this.#isClosed) {
      // Its app still loads, and will be told to end when it has.
      user.answerSocket(id, { address: addressOf(known?.answer, address) });
      return;
    }
    // As on a plain server: two servers of one worker cannot have the same address.
    if (known?.uses.some((use) => use.user === user)) {
      user.answerSocket(id, { code: 'EADDRINUSE' });
      return;
    }
    if (failure !== undefined) {
      user.answerSocket(id, { code: failure });
      return;
    }
    if (!known && this.#sockets.size >= maxSockets) {
      const reason = `mpserve opens at most ${maxSockets} ports and paths besides the app's own; close some, or listen with { exclusive: true }`;
      user.answerSocket(id, { code: 'ERR_MPSERVE_TOO_MANY_SOCKETS', reason });
      return;
    }
    if (!this.#users.has(user)) {
      this.#users.add(user);
      void user.exit.then(() => this.#leave(user));
    }
    const use = { user, id, accepts: false, isAnswered: false };
    const { generation } = user;
    if (known) {
      known.uses.push(use);
      known.generation = Math.max(known.generation, generation);
      this.#answer(known);
      return;
    }
    const socket: SharedSocket = { key, address, uses: [use], generation, answer: undefined, giveBack: () => {} };
    this.#sockets.set(key, socket);
    socket.giveBack = this.#request(address, (answer) => {
      socket.answer = answer;
      if ('code' in answer) this.#sockets.delete(key);
      this.#answer(socket);
    });
  }

  /** @param isClosed the app has closed its server; otherwise the worker is leaving */
  unlisten(user: SocketUser, id: number, isClosed: boolean): void {
    if (this.#isClosed) return;
    for (const socket of this.#sockets.values()) {
      const index = socket.uses.findIndex((use) => use.user === user && use.id === id);
      if (index >= 0) this.#remove(socket, index, isClosed);
    }
  }

  /** Takes over an open socket, on which a worker of `generation` listened. */
  adopt(address: SecondaryAddress, answer: SecondaryAnswer, generation: number, giveBack: GiveBack): void {
    const key = keyOf(address);
    this.#sockets.set(key, { key, address, uses: [], generation, answer, giveBack });
  }

  /** From now on this generation serves: closes the sockets for which it has not asked, when no worker listens on them. */
  keepOnly(generation: number): void {
    if (this.#isClosed) return;
    this.#current = generation;
    for (const socket of [...this.#sockets.values()]) this.#closeIfUnused(socket, false);
  }

  /** Gives all sockets back, and has none from now on. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { address, uses, answer, giveBack } of this.#sockets.values()) {
      giveBack(false);
      if (!answer) for (const { user, id } of uses) user.answerSocket(id, { address: addressOf(answer, address) });
    }
  }

  #leave(user: SocketUser): void {
    if (this.#isClosed) return;
    this.#users.delete(user);
    for (const socket of [...this.#sockets.values()]) {
      const index = socket.uses.findIndex((use) => use.user === user);
      if (index >= 0) this.#remove(socket, index, false);
    }
  }

  #remove(socket: SharedSocket, index: number, isClosed: boolean): void {
    const [gone] = socket.uses.splice(index, 1);
    const generations = socket.uses.map(({ user }) => user.generation);
    socket.generation = generations.length > 0 ? Math.max(...generations) : (gone?.user.generation ?? 0);
    this.#closeIfUnused(socket, isClosed);
    this.#answer(socket);
  }

  /** A worker of the current generation that has died is replaced, and asks again: meanwhile the kernel queues clients. */
  #closeIfUnused(socket: SharedSocket, isClosed: boolean): void {
    if (socket.uses.length > 0 || !socket.answer) return;
    const mayBeWanted = this.#current === undefined || socket.generation === this.#current;
    if (mayBeWanted && !isClosed) return;
    this.#sockets.delete(socket.key);
    socket.giveBack(isClosed);
  }

  #answer({ uses, answer }: SharedSocket): void {
    if (!answer) return;
    // The newest generation first: the others will leave.
    for (const use of [...uses].sort((a, b) => b.user.generation - a.user.generation)) {
      if ('code' in answer) {
        use.user.answerSocket(use.id, answer);
        continue;
      }
      const accepts = answer.fd !== undefined && mayAccept(use, uses);
      if (use.accepts || (use.isAnswered && !accepts)) continue;
      use.accepts = accepts;
      use.isAnswered = true;
      use.user.answerSocket(use.id, accepts ? answer : { address: answer.address });
    }
  }
}

/** For a server that looks to its app as if it listened. */
function addressOf(answer: SecondaryAnswer | undefined, address: SecondaryAddress): AddressInfo | string {
  if (answer && 'address' in answer) return answer.address;
  if (address.kind === 'unix') return address.path;
  const { host = '::', port } = address;
  return { address: host, family: host.includes(':') ? 'IPv6' : 'IPv4', port };
}

function mayAccept({ user }: Use, uses: readonly Use[]): boolean {
  if (user.secondary === 'first-worker') return !uses.some(({ accepts }) => accepts);
  return user.secondary === 'all';
}
