// The requests that have been in flight for the longest time.
import type { WorkerStatus } from '../../control/protocol.js';
import { connectedLoops, knownRequests } from '../../scoreboard/loop-view.js';
import { byId, element, setText } from './dom.js';
import { age, nameOf, shown } from './format.js';

const maxRows = 10;

const columns = ['Age', 'Request', 'Client', 'Where', 'Id'] as const;

export class InFlightView {
  readonly #empty = element('p', 'quiet');
  readonly #body = element('tbody');
  readonly #table: HTMLElement;

  constructor() {
    const head = element(
      'tr',
      '',
      ...columns.map((name) => {
        const cell = element('th', name.toLowerCase(), name);
        cell.scope = 'col';
        return cell;
      }),
    );
    this.#table = element('table', '', element('thead', '', head), this.#body);
    byId('flight').append(this.#empty, this.#table);
  }

  show(workers: readonly WorkerStatus[]): void {
    const loops = workers.flatMap(({ loops }) => loops);
    const requests = workers.flatMap((worker) =>
      knownRequests(worker.loops).map(({ request, loop }) => ({
        request,
        ageMs: request.ageMs + (loop.staleMs ?? 0),
        where: `${nameOf(worker)}${loop.tid === 0 ? '' : `, thread ${loop.tid}`}`,
      })),
    );
    const all = connectedLoops(loops).reduce((sum, { inFlight }) => sum + inFlight, 0);
    const oldest = requests.sort((a, b) => b.ageMs - a.ageMs).slice(0, maxRows);
    this.#table.hidden = oldest.length === 0;
    this.#empty.hidden = oldest.length > 0;
    setText(byId('flight-title'), all === 0 ? 'Longest in flight' : `Longest in flight, of ${all}`);
    setText(this.#empty, loops.length === 0 ? 'The event loops have told nothing yet.' : 'No request is in flight.');
    this.#body.replaceChildren(
      ...oldest.map(({ request, ageMs, where }) => {
        const { method, url, client = '', reqId } = request;
        const cells = [age(ageMs), shown(`${method} ${url}`, 200), shown(client, 60), where, shown(reqId, 40)];
        return element('tr', '', ...cells.map((text, i) => element('td', columns[i]?.toLowerCase(), text)));
      }),
    );
  }
}
