// Carries reports to the parts of the server that act on them. The only place that passes reports on to the log.
import type { Events, ServerEvent } from '../events.js';
import type { Report, ReportOf } from './report.js';

/** What a part of the server does about each kind of report that it acts on. */
type Readers = { readonly [K in Report['kind']]?: (report: ReportOf<K>) => void };

export class Reports {
  readonly #events: Events;
  readonly #subscribed = new Set<Readers>();

  constructor(events: Events) {
    this.#events = events;
  }

  publish(report: Report): void {
    const event = eventOf(report);
    if (event) this.#events.tell(event);
    for (const readers of this.#subscribed) readers[report.kind]?.(report as never);
  }

  /** @returns a function that ends the subscription */
  subscribe(readers: Readers): () => void {
    this.#subscribed.add(readers);
    return () => this.#subscribed.delete(readers);
  }
}

/** @returns undefined for an answered request, which has a line in the access log */
function eventOf(report: Report): ServerEvent | undefined {
  if (report.kind === 'request-ended') {
    const { kind: _, isWanted, answered, ...request } = report;
    return answered ? undefined : { event: isWanted ? 'request-cut' : 'request-lost', ...request };
  }
  const { kind: event, ...fields } = report;
  return { event, ...fields } as ServerEvent;
}
