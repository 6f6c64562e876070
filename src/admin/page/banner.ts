// Says that the server does not answer, and of when is what the page shows.
import { byId, setText } from './dom.js';
import { duration, time } from './format.js';

export class Banner {
  readonly #banner = byId('banner');
  #updatedAt: number | undefined;

  constructor() {
    setInterval(() => this.#showAge(), 1000);
  }

  /** The page shows how it is now. */
  updated(): void {
    this.#updatedAt = Date.now();
    this.hide();
  }

  hide(): void {
    if (this.#banner.hidden) return;
    this.#banner.hidden = true;
    setText(byId('banner-reason'), '');
  }

  show(reason: string): void {
    this.#banner.hidden = false;
    setText(byId('banner-reason'), `No connection to the server: ${reason}.`);
    this.#showAge();
  }

  #showAge(): void {
    if (this.#banner.hidden) return;
    const text =
      this.#updatedAt === undefined
        ? 'Trying again.'
        : `This is how it was at ${time(this.#updatedAt)}, ${duration(Date.now() - this.#updatedAt)} ago. Trying again.`;
    setText(byId('banner-age'), text);
  }
}
