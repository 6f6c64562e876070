// The text that a scraper gets, by prom-client. Imported only when there is an admin server.
import { type Metric, Registry } from 'prom-client';
import type { Definition, Observed } from './definition.js';
import { definitions } from './definitions.js';

export class MetricsText {
  readonly #observe: () => Promise<Observed>;
  /** Texts that are being written, by their types: scrapers that ask meanwhile get the same. */
  readonly #writing = new Map<ContentType, Promise<string>>();

  constructor(observe: () => Promise<Observed>) {
    this.#observe = observe;
  }

  /** @param accept the request's header. @returns the content, and its type */
  async write(accept = ''): Promise<{ readonly type: string; readonly text: string }> {
    const type = accept.includes('application/openmetrics-text')
      ? Registry.OPENMETRICS_CONTENT_TYPE
      : Registry.PROMETHEUS_CONTENT_TYPE;
    let text = this.#writing.get(type);
    if (!text) {
      text = this.#write(type).finally(() => this.#writing.delete(type));
      this.#writing.set(type, text);
    }
    return { type, text: await text };
  }

  async #write(type: ContentType): Promise<string> {
    const observed = await this.#observe();
    const registry = new Registry();
    registry.setContentType(type as never); // the types of prom-client know only one of the two
    for (const definition of definitions) registry.registerMetric(metricOf(definition, observed));
    return registry.metrics();
  }
}

type ContentType = typeof Registry.OPENMETRICS_CONTENT_TYPE | typeof Registry.PROMETHEUS_CONTENT_TYPE;

/** What prom-client asks a metric of its own for. */
function metricOf({ name, help, type, samples }: Definition, observed: Observed): Metric {
  const metric = {
    name, // prom-client changes it for OpenMetrics
    help,
    type,
    get: async () => ({
      name: metric.name,
      help,
      type,
      values: samples(observed).map(({ labels = {}, value, suffix }) => ({
        labels,
        value,
        ...(suffix && { metricName: `${name}${suffix}` }),
      })),
    }),
  };
  return metric as unknown as Metric;
}
