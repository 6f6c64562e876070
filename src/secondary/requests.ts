// A worker's questions for secondary sockets: asks its host, and passes on each answer.
import { closeDescriptor } from '../os/descriptor.js';
import type { GiveBack, SecondaryAddress, SecondaryAnswer } from './address.js';

export type SocketQuestion =
  | { readonly type: 'listen'; readonly id: number; readonly address: SecondaryAddress }
  | { readonly type: 'unlisten'; readonly id: number; readonly isClosed: boolean };

export class SocketRequests {
  readonly #say: (question: SocketQuestion) => void;
  readonly #waiting = new Map<number, (answer: SecondaryAnswer) => void>();
  #count = 0;

  constructor(say: (question: SocketQuestion) => void) {
    this.#say = say;
  }

  /** As `RequestSocket`. The descriptor of an answer belongs to the caller. */
  ask(address: SecondaryAddress, told: (answer: SecondaryAnswer) => void): GiveBack {
    const id = ++this.#count;
    this.#waiting.set(id, told);
    this.#say({ type: 'listen', id, address });
    return (isClosed) => {
      if (this.#waiting.delete(id)) this.#say({ type: 'unlisten', id, isClosed });
    };
  }

  /** For each answer of the host. */
  take(id: number, answer: SecondaryAnswer): void {
    const told = this.#waiting.get(id);
    if ('code' in answer) this.#waiting.delete(id);
    if (told) told(answer);
    else if ('address' in answer && answer.fd !== undefined) closeDescriptor(answer.fd); // it was given back meanwhile
  }
}
