// Finds out whose code ends the event loop: a request runs in an asynchronous context of its own, in which an exception or
// an exit finds it again. Only while the server looks for what kills its workers, because contexts cost time.
import type { AsyncLocalStorage } from 'node:async_hooks';
import { type JournalWriter, noSlot } from './journal-writer.js';

/** A request, which has no slot any more when it has ended. */
interface Recorded {
  readonly entry: number;
}

export class Culprits {
  readonly #writer: JournalWriter;
  #context: AsyncLocalStorage<Recorded> | undefined;

  constructor(writer: JournalWriter) {
    this.#writer = writer;
  }

  /** Calls `handle`, and remembers whose it is. */
  run<T>(recorded: Recorded, handle: () => T): T {
    this.#context ??= this.#open();
    return this.#context.run(recorded, handle);
  }

  /** From now on contexts cost nothing, until the next `run`. */
  stop(): void {
    this.#context?.disable();
  }

  #open(): AsyncLocalStorage<Recorded> {
    // Loaded here, for the reason in `fingerprint.ts`.
    const { AsyncLocalStorage: Context } = process.getBuiltinModule('node:async_hooks');
    const context = new Context<Recorded>();
    const record = (): void => {
      const recorded = context.getStore();
      if (!recorded) return; // no request's, or the app has lost the context
      if (recorded.entry === noSlot) this.#writer.acquitAll();
      else this.#writer.convict(recorded.entry);
      setImmediate(() => this.#writer.withdraw()); // the app may handle the exception
    };
    process.on('uncaughtExceptionMonitor', record);
    process.on('exit', record);
    return context;
  }
}
