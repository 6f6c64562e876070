// Asks for the model to switch to and for its numbers of workers and threads, and says what a switch does.
import type { Request, Status } from '../../control/protocol.js';
import type { ModelChoice } from '../live.js';
import { byId, element, setText } from './dom.js';

type Options = NonNullable<Request['options']>;

/** What is chosen, as the dialog began with it and as it is. */
interface Choice {
  readonly status: Status;
  readonly models: readonly ModelChoice[];
}

export class SwitchDialog {
  readonly #dialog = byId<HTMLDialogElement>('switch-dialog');
  readonly #model = byId<HTMLSelectElement>('switch-model');
  readonly #workers = byId<HTMLInputElement>('switch-workers');
  readonly #threads = byId<HTMLInputElement>('switch-threads');
  #choice: Choice | undefined;
  /** Of the question that is open. */
  #answer: ((options: Options | undefined) => void) | undefined;

  constructor() {
    // The browser tells of it later: by then the user may have opened it again.
    this.#dialog.addEventListener('close', () => {
      if (!this.#dialog.open) this.#settle(this.#dialog.returnValue === 'confirmed' ? this.#options() : undefined);
    });
    byId('switch-cancel').addEventListener('click', () => this.#dialog.close());
    this.#model.addEventListener('change', () => this.#showModel());
  }

  /** @returns what to switch; undefined if the user does not want to */
  ask(status: Status, models: readonly ModelChoice[]): Promise<Options | undefined> {
    this.#settle(undefined);
    this.#choice = { status, models };
    this.#model.replaceChildren(...models.map(({ name }) => element('option', '', name)));
    this.#model.value = status.model;
    setText(byId('switch-now'), nowInWords(status, models));
    this.#showModel();
    this.#dialog.returnValue = '';
    this.#dialog.showModal();
    return new Promise((answer) => {
      this.#answer = answer;
    });
  }

  #settle(options: Options | undefined): void {
    this.#answer?.(options);
    this.#answer = undefined;
  }

  /** Numbers of one model mean little in another: those have what is configured, unless the user fills them in. */
  #showModel(): void {
    if (!this.#choice) return;
    const { status, models } = this.#choice;
    const to = models.find(({ name }) => name === this.#model.value);
    if (!to) return;
    const isNow = to.name === status.model;
    const show = (input: HTMLInputElement, isShown: boolean, now: number): void => {
      const label = input.parentElement as HTMLElement;
      label.hidden = !isShown;
      input.disabled = !isShown; // or its limits would keep the dialog open
      input.required = isNow;
      input.placeholder = isNow ? '' : 'as configured';
      input.value = isShown && isNow ? String(now) : '';
    };
    show(this.#workers, to.hasWorkers, status.workers.wanted);
    show(this.#threads, to.hasThreads, status.threads);
    byId('switch-empty').hidden = isNow || !(to.hasWorkers || to.hasThreads);
    setText(byId('switch-summary'), `${to.name}: ${to.summary}`);
    setText(byId('switch-confirm'), isNow ? 'Switch the numbers' : `Switch to ${to.name}`);
    const steps = [
      `Workers of ${to.name} start beside the present ones, on the same sockets. Until the switch is done there are both, which takes memory.`,
      'If the new workers do not load the app, die or hang within --probation, they are removed, and the server goes on as now.',
      'Otherwise connections migrate to them, and the old workers finish their requests within --graceful-timeout and exit.',
    ];
    byId('switch-steps').replaceChildren(...steps.map((step) => element('li', '', step)));
  }

  /** Without the model, what operators have changed before stays as it is. */
  #options(): Options {
    const numbers = {
      ...(this.#workers.value !== '' && { workers: this.#workers.value }),
      ...(this.#threads.value !== '' && { threads: this.#threads.value }),
    };
    const isNow = this.#model.value === this.#choice?.status.model;
    return isNow && Object.keys(numbers).length > 0 ? numbers : { model: this.#model.value, ...numbers };
  }
}

function nowInWords({ model, unit, workers, threads }: Status, models: readonly ModelChoice[]): string {
  const known = models.find(({ name }) => name === model);
  const numbers = [
    ...(known?.hasWorkers ? [`${workers.ready} of ${workers.wanted} workers ready`] : []),
    ...(known?.hasThreads ? [`${threads} threads${known.hasWorkers ? ' each' : ''}`] : []),
  ];
  return `Now: ${[unit ? `${model} (unit ${unit})` : model, ...numbers].join(', ')}.`;
}
