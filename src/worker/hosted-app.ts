// The app of an event loop, from loading it to closing it, whatever brings it its requests.
import type { App } from '../app/app.js';
import { closeApp } from '../app/close-app.js';
import { loadApp } from '../app/load.js';
import { untilSaidReady } from '../app/pm2.js';
import { SecondaryServers } from '../app/secondary-servers.js';
import { msUntil, now, within } from '../clock.js';
import { deferred } from '../deferred.js';
import { ExitCode, StartupError } from '../errors.js';
import { closingFraction, type Pipeline } from '../pipeline/pipeline.js';
import { untilReady, whyNotReady } from '../pipeline/readiness.js';
import type { SocketRequests } from '../secondary/requests.js';
import type { DrainOrder, Tell } from './service.js';
import type { ThreadSettings } from './settings.js';

export interface HostedAppOptions
  extends Pick<ThreadSettings, 'loading' | 'addresses' | 'forwards' | 'lifecycle' | 'limits' | 'isKnownReady'> {
  readonly tell: Tell;
  /** Asks for the sockets of the app's secondary servers. */
  readonly sockets: SocketRequests;
  /** Told when the app has closed its server. */
  readonly onClosed: () => void;
}

export class HostedApp {
  readonly #options: HostedAppOptions;
  readonly #secondary: SecondaryServers;
  #app: App | undefined;
  /** What was pending before the app was loaded. */
  #before: readonly string[] = [];
  /** Until when it may drain. */
  #drainBy = Number.POSITIVE_INFINITY;
  /** In a drain that has to be over sooner: its secondary servers get no more time. */
  readonly #secondaryOver = deferred<void>();

  constructor(options: HostedAppOptions) {
    this.#options = options;
    this.#secondary = new SecondaryServers((address, told) => options.sockets.ask(address, told));
  }

  /** @throws StartupError */
  async load(): Promise<App> {
    const { loading, addresses, forwards, limits, onClosed, tell } = this.#options;
    const { app: target, demoFaults, bootTimeout: timeout, serve } = loading;
    this.#before = process.getActiveResourcesInfo();
    const saidReady = loading.waitReady && !forwards ? untilSaidReady() : undefined;
    const secondary = this.#secondary;
    const app = forwards
      ? (await import('../routes/forwarder.js')).forwarder(forwards, limits.keepAliveTimeout)
      : await loadApp({ target, addresses, demoFaults, timeout, serve, secondary, tell, onClosed });
    this.#app = app;
    if (saidReady && !(await within(timeout, saidReady))) {
      const message = `the app has not called process.send('ready') (--wait-ready), ${timeout} ms after it had loaded`;
      throw new StartupError(ExitCode.app, message);
    }
    return app;
  }

  /** Settles when the app says that it is ready, if it is asked. @param pipeline makes one of the app. @throws StartupError */
  async untilReady(pipeline: () => Promise<Pipeline>): Promise<void> {
    const { bootTimeout } = this.#options.loading;
    const readyPath = this.#readyPath;
    if (readyPath !== undefined && !this.#options.isKnownReady)
      await untilReady(await pipeline(), readyPath, bootTimeout);
  }

  /** @returns why the app says that it is not ready any more, if it is asked */
  async check(pipeline: () => Promise<Pipeline | undefined>): Promise<string | undefined> {
    const { bootTimeout } = this.#options.loading;
    const readyPath = this.#readyPath;
    const asked = readyPath === undefined ? undefined : await pipeline();
    return asked && readyPath !== undefined ? whyNotReady(asked, readyPath, bootTimeout) : undefined;
  }

  /** undefined where the app is not asked, or where it is elsewhere, and asked there. */
  get #readyPath(): string | undefined {
    const { loading, forwards } = this.#options;
    return forwards ? undefined : loading.readyPath;
  }

  /** @param finish finishes what is in flight, within the time of the order */
  async drain({ ms, reason, othersServe }: DrainOrder, finish: () => Promise<void>): Promise<void> {
    this.#drainBy = now() + ms;
    const { drainQuiet } = this.#options.limits;
    // Before the end of the time, as the app has to close.
    const secondary = within(ms * (1 - closingFraction), this.#secondary.drain(drainQuiet));
    await finish();
    await Promise.race([secondary, this.#secondaryOver.promise]);
    // A long migration does not shorten the time that the app has to close.
    const left = Math.max(msUntil(this.#drainBy), othersServe ? ms * closingFraction : 0);
    const { shutdownMessage } = this.#options.lifecycle;
    await closeApp(this.#app, reason, this.#before, left, shutdownMessage);
  }

  /** In a drain: it has only `ms` milliseconds from now on. @returns false if it had no more before */
  drainSooner(ms: number): boolean {
    const drainBy = now() + ms;
    if (drainBy >= this.#drainBy) return false;
    this.#drainBy = drainBy;
    setTimeout(this.#secondaryOver.resolve, ms * (1 - closingFraction));
    return true;
  }
}
