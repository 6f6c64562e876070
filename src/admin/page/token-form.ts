// Asks for the token.
import { byId, setText } from './dom.js';
import { keepToken } from './token.js';

export class TokenForm {
  readonly #form = byId<HTMLFormElement>('token-form');
  readonly #input = byId<HTMLInputElement>('token');

  /** Settles when the user has given one. @param problem with the last one */
  ask(problem: string): Promise<void> {
    this.#form.hidden = false;
    setText(byId('token-problem'), problem);
    this.#input.focus();
    return new Promise((done) => {
      this.#form.addEventListener(
        'submit',
        (event) => {
          event.preventDefault();
          // Not every text can be in a header.
          keepToken(this.#input.value.trim().replace(/[^\x21-\x7e]/g, ''));
          this.#input.value = '';
          this.#form.hidden = true;
          done();
        },
        { once: true },
      );
    });
  }
}
