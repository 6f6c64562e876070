// The text that a scraper gets, by prom-client. Imported only when there is an admin server.
import { type Metric, Registry } from 'prom-client';
import type { Observed } from './definition.js';
import { definitions } from './definitions.js';

export class MetricsText {
  readonly #observe: () => Promise<Observed>;
  readonly #registries = new Map<string, Registry>();
  /** While it is being written: those who ask meanwhile get the same. */
  readonly #writing = new Map<string, Promise<string>>();
  #observed: Observed | undefined;

  constructor(observe: () => Promise<Observed>) {
    this.#observe = observe;
  }

  /** @param accept the request's header. @returns the content, and its type */
  async write(accept = ''): Promise<{ readonly type: string; readonly text: string }> {
    const wanted = accept.includes('application/openmetrics-text')
      ? Registry.OPENMETRICS_CONTENT_TYPE
      : Registry.PROMETHEUS_CONTENT_TYPE;
    const registry = this.#registries.get(wanted) ?? this.#register(wanted);
    let text = this.#writing.get(wanted);
    if (!text) {
      text = this.#write(registry).finally(() => this.#writing.delete(wanted));
      this.#writing.set(wanted, text);
    }
    return { type: registry.contentType, text: await text };
  }

  async #write(registry: Registry): Promise<string> {
    this.#observed = await this.#observe();
    return registry.metrics();
  }

  #register(contentType: typeof Registry.OPENMETRICS_CONTENT_TYPE | typeof Registry.PROMETHEUS_CONTENT_TYPE): Registry {
    const registry = new Registry();
    registry.setContentType(contentType as never);
    for (const { name, help, type, samples } of definitions) {
      const metric = {
        name,
        help,
        type,
        get: async () => ({
          name: metric.name, // for OpenMetrics it is written without `_total`
          help,
          type,
          values: samples(this.#observed as Observed).map(({ labels = {}, value, suffix }) => ({
            labels,
            value,
            ...(suffix && { metricName: `${name}${suffix}` }),
          })),
        }),
      };
      registry.registerMetric(metric as unknown as Metric);
    }
    this.#registries.set(contentType, registry);
    return registry;
  }
}
