// Says what a switch of the model would do, and asks.
import type { Status } from '../../control/protocol.js';
import type { ModelChoice } from '../live.js';
import { byId, element, setText } from './dom.js';

export class SwitchDialog {
  readonly #dialog = byId<HTMLDialogElement>('switch-dialog');

  constructor() {
    byId('switch-cancel').addEventListener('click', () => this.#dialog.close(''));
    byId('switch-confirm').addEventListener('click', () => this.#dialog.close('confirmed'));
  }

  /** @returns whether the user wants it */
  ask({ model, workers, threads }: Status, to: ModelChoice): Promise<boolean> {
    setText(byId('switch-title'), `Switch from ${model} to ${to.name}?`);
    setText(byId('switch-confirm'), `Switch to ${to.name}`);
    const each = threads > 1 ? ` with ${threads} threads each` : '';
    const steps = [
      `Now: ${model}, ${workers.ready} of ${workers.wanted} workers ready${each}. Then: ${to.name}, ${to.summary}.`,
      `Workers of ${to.name} start beside those of ${model}, on the same sockets, as many as the configuration says. Until the switch is done there are both, which takes memory.`,
      `If the new workers do not load the app, die or hang within --probation, they are removed, and ${model} goes on as now.`,
      `Otherwise connections migrate to them, and the old workers finish their requests within --graceful-timeout and exit.`,
    ];
    byId('switch-steps').replaceChildren(...steps.map((step) => element('li', '', step)));
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    byId('switch-cancel').focus();
    return new Promise((done) => {
      this.#dialog.addEventListener('close', () => done(this.#dialog.returnValue === 'confirmed'), { once: true });
    });
  }
}
