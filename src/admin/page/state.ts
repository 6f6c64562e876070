// The state of the server in words, at the top and in the title of the tab.
import type { Status } from '../../control/protocol.js';
import type { LiveUpdate } from '../live.js';
import { byId, element, setData, setText } from './dom.js';
import { duration, rate, shown } from './format.js';

/** A shape for each state: colour alone does not tell it. */
const words: Readonly<Record<Status['state'], readonly [mark: string, word: string]>> = {
  starting: ['◌', 'Starting'],
  serving: ['●', 'Serving'],
  degraded: ['▲', 'Degraded'],
  down: ['■', 'Down'],
  drained: ['‖', 'Drained'],
  stopping: ['▼', 'Stopping'],
};

export class StateView {
  readonly #facts = byId('facts');
  readonly #values = new Map<string, HTMLElement>();

  show({ status }: LiveUpdate): void {
    const { state, workers, doing, app, lastError } = status;
    const [mark, word] = words[state];
    const isShort = state === 'degraded' || state === 'down' || state === 'starting';
    const detail = isShort ? `, ${workers.ready} of ${workers.wanted} workers ready` : '';
    setData(byId('top'), 'state', state);
    setText(byId('state-mark'), mark);
    setText(byId('state'), `${word}${detail}${doing ? `, ${doing} in progress` : ''}`);
    document.title = `${mark} ${word} – ${shown(app, 60)}`;
    this.#fact('App', shown(app, 80));
    this.#fact('Model', status.model);
    this.#fact(
      'Workers',
      `${workers.ready} of ${workers.wanted}${status.threads > 1 ? ` × ${status.threads} threads` : ''}`,
    );
    this.#fact('Generation', String(status.generation));
    this.#fact('Up', duration(status.uptimeMs));
    this.#fact('Answered', rate(status.requests));
    this.#fact('Pid', String(status.pid));
    const error = byId('last-error');
    error.hidden = lastError === undefined;
    if (lastError) {
      const at = new Date(lastError.at);
      setText(error, `Last error, ${at.toLocaleString('en-GB')}: ${shown(lastError.message, 300)}`);
    }
  }

  #fact(name: string, text: string): void {
    let value = this.#values.get(name);
    if (!value) {
      value = element('dd');
      this.#values.set(name, value);
      this.#facts.append(element('div', '', element('dt', '', name), value));
    }
    setText(value, text);
  }
}
