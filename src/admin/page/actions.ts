// The actions: reload, scale and switch. The server performs one at a time; its progress is shown as it comes.
import { type Outcome, type Progress, type Request, streamType } from '../../control/protocol.js';
import type { LiveUpdate, ModelChoice } from '../live.js';
import { byId, element, setText } from './dom.js';
import { shown } from './format.js';
import { pieces } from './pieces.js';
import { SwitchDialog } from './switch-dialog.js';
import { authorization } from './token.js';

const maxLines = 8;

export class ActionsView {
  readonly #progress = byId('progress');
  readonly #count = byId<HTMLInputElement>('count');
  readonly #dialog = new SwitchDialog();
  #models: readonly ModelChoice[] = [];
  #last: LiveUpdate | undefined;
  #isBusy = false;

  constructor() {
    byId('reload').addEventListener('click', () => this.#act('reload', {}));
    byId('fewer').addEventListener('click', () => this.#act('scale', { workers: '-1' }));
    byId('more').addEventListener('click', () => this.#act('scale', { workers: '+1' }));
    byId('set-count').addEventListener('click', () => this.#act('scale', { workers: this.#count.value }));
    this.#count.addEventListener('keydown', ({ key }) => {
      if (key === 'Enter') this.#act('scale', { workers: this.#count.value });
    });
    byId('switch').addEventListener('click', () => void this.#askToSwitch());
  }

  show(update: LiveUpdate): void {
    const { status, mayAct, models } = update;
    this.#last = update;
    if (models) this.#models = models;
    byId('read-only').hidden = mayAct;
    byId('controls').hidden = !mayAct;
    byId('scaling').hidden = !this.#models.find(({ name }) => name === status.model)?.hasWorkers;
    const isEdited = document.activeElement === this.#count || document.activeElement === byId('set-count');
    if (!isEdited) this.#count.value = String(status.workers.wanted);
    this.#setBusy(status.doing !== undefined || this.#isBusy);
  }

  async #askToSwitch(): Promise<void> {
    if (this.#isBusy || !this.#last) return;
    const options = await this.#dialog.ask(this.#last.status, this.#models);
    if (options) this.#act('switch', { options });
  }

  /** Not `disabled`, which would take the focus away. */
  #setBusy(isBusy: boolean): void {
    for (const button of byId('controls').querySelectorAll('button'))
      button.setAttribute('aria-disabled', String(isBusy));
  }

  #act(action: string, request: Request): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#setBusy(true);
    this.#progress.replaceChildren();
    perform(action, request, (text) => this.#tell(text))
      .then((outcome) => this.#tell(outcome.ok ? `Done: ${outcome.message}` : `Failed: ${outcome.error}`, outcome.ok))
      .catch((error: Error) => this.#tell(`Failed: ${error.message}`, false))
      .finally(() => {
        this.#isBusy = false;
        this.#setBusy(this.#last?.status.doing !== undefined);
      });
    this.#tell(`${action}: asked`);
  }

  #tell(text: string, isOk?: boolean): void {
    const row = element('p');
    setText(row, shown(text, 300));
    if (isOk !== undefined) row.dataset.ok = String(isOk);
    this.#progress.append(row);
    while (this.#progress.children.length > maxLines) this.#progress.firstElementChild?.remove();
  }
}

/** @throws Error if the server does not answer with an outcome */
async function perform(action: string, request: Request, onProgress: (text: string) => void): Promise<Outcome> {
  const response = await fetch(action, {
    method: 'POST',
    headers: { accept: streamType, 'content-type': 'application/json', ...authorization() },
    body: JSON.stringify(request),
  });
  if (!response.ok || !response.body) throw new Error((await response.text()).trim() || `status ${response.status}`);
  for await (const line of pieces(response.body, '\n')) {
    const value: Progress | Outcome = JSON.parse(line);
    if ('ok' in value) return value;
    onProgress(value.progress);
  }
  throw new Error('the server has ended the connection before it was done');
}
