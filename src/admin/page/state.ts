// The state of the server in words, at the top and in the title of the tab.
import type { CacheStatus, Status } from '../../control/protocol.js';
import type { LiveUpdate } from '../live.js';
import { byId, element, setData, setText } from './dom.js';
import { duration, megabytes, percent, rate, shown, time } from './format.js';
import { shownMs } from './kept.js';

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
  #last: LiveUpdate | undefined;

  show(update: LiveUpdate): void {
    this.#last = update;
    const { status, at } = update;
    const { state, workers, doing, app } = status;
    const [mark, word] = words[state];
    const isShort = state === 'degraded' || state === 'down' || state === 'starting';
    const detail = isShort ? `, ${workers.ready} of ${workers.wanted} workers ready` : '';
    this.#say(state, mark, `${word}${detail}${doing ? `, ${doing} in progress` : ''}`);
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
    if (status.cache) this.#fact('Cache', cacheText(status.cache));
    showLastError(status.lastError, at);
  }

  /** The server does not answer: what it was last is not what it is. */
  lost(): void {
    const was = this.#last && `, was ${words[this.#last.status.state][1].toLowerCase()} at ${time(this.#last.at)}`;
    this.#say('lost', '?', `No connection${was ?? ''}`);
    document.title = `? No connection${this.#last ? ` – ${shown(this.#last.status.app, 60)}` : ''}`;
  }

  /** Without the token nothing is known. */
  locked(): void {
    this.#say('locked', '◌', 'Locked');
    document.title = '◌ Locked – mpserve';
  }

  /** @param state for the colours of the page */
  #say(state: Status['state'] | 'lost' | 'locked', mark: string, text: string): void {
    setData(byId('top'), 'state', state);
    setText(byId('state-mark'), mark);
    setText(byId('state'), text);
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

/** One that is older than the curves is history. */
function showLastError(last: Status['lastError'], at: number): void {
  const target = byId('last-error');
  target.hidden = last === undefined;
  if (!last) return;
  const ageMs = Math.max(0, at - Date.parse(last.at));
  setData(target, 'old', String(ageMs > shownMs));
  setText(target, `Last error, ${duration(ageMs)} ago: ${shown(last.message, 300)}`);
  target.title = new Date(last.at).toLocaleString();
}

function cacheText({ hits, stale, coalesced, revalidated, misses, bytes, maxBytes, store }: CacheStatus): string {
  const withoutWaiting = hits + stale + coalesced;
  const all = Math.max(1, withoutWaiting + revalidated + misses);
  const state = store?.isDown ? ', which is down' : store?.takesNothing ? ', which takes nothing' : '';
  const where = store ? `in ${shown(store.name, 60)}${state}` : `${megabytes(bytes)} of ${megabytes(maxBytes)}`;
  return `${percent(withoutWaiting / all)} hits, ${where}`;
}
