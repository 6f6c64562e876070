// The servers of operators, on the control socket and with --admin, and the monitoring that both show. What an HTTP server
// needs is imported only for them, because that takes 2 ms.
import type { Pages } from '../admin/pages.js';
import type { Address } from '../config/address.js';
import type { Config } from '../config/config.js';
import type { Loaded } from '../config/load.js';
import { origin } from '../config/source.js';
import type { Restarts } from '../control/protocol.js';
import type { Events } from '../events.js';
import type { ServerMemory } from '../memory/server-memory.js';
import type { HostCounters } from '../metrics/host-counters.js';
import { closeDescriptor } from '../os/descriptor.js';
import type { SlotRanges } from '../overload/slot-ranges.js';
import type { Reports } from '../reports/reports.js';
import type { CacheMemory } from './cache-memory.js';
import { type Listener, listener } from './listener.js';
import type { Monitoring } from './monitoring.js';
import type { OperatorListener } from './operator-listener.js';
import type { ResourcesOfRoute } from './resources.js';
import type { ServerControls } from './server-controls.js';
import type { InheritedState } from './successor.js';

export interface OperatorServersOptions {
  readonly loaded: Loaded;
  readonly reports: Reports;
  readonly events: Events;
  /** undefined unless this server is the successor of another one. */
  readonly inherited: InheritedState | undefined;
  /** Of mpserve. */
  readonly version: string;
  readonly controls: ServerControls;
  /** The current configuration. */
  readonly config: () => Config;
  /** The sockets of clients that are open. */
  readonly listeners: readonly Listener[];
}

export class OperatorServers {
  readonly #options: OperatorServersOptions;
  #controlModule: typeof import('./control-listener.js') | undefined;
  #adminModule: typeof import('./admin-listener.js') | undefined;
  #control: OperatorListener | undefined;
  #admin: OperatorListener | undefined;
  #monitoring: Monitoring | undefined;

  constructor(options: OperatorServersOptions) {
    this.#options = options;
  }

  /** Serves on the control socket. Of a predecessor, that is left to `takeOver`. @throws StartupError */
  async openControl(): Promise<void> {
    const { loaded, inherited, controls } = this.#options;
    const { config, sources } = loaded;
    const { control } = config.server;
    if (control === undefined && !inherited?.control) return;
    this.#controlModule = await import('./control-listener.js');
    if (inherited || control === undefined) return;
    this.#control = await this.#controlModule.openControlListener(
      control,
      origin(sources.control),
      controls,
      this.#pages,
    );
  }

  /** Monitors the server, and serves at this address. Of a predecessor, that is left to `takeOver`. @throws StartupError */
  async openAdmin(address: Address, memory: ServerMemory, cacheMemory: CacheMemory, slots: SlotRanges): Promise<void> {
    const { loaded, reports, inherited, version, controls, config, listeners } = this.#options;
    this.#adminModule = await import('./admin-listener.js');
    const { CountedMemory } = this.#adminModule;
    this.#monitoring = new this.#adminModule.Monitoring({
      reports,
      memory: new CountedMemory(
        memory.descriptorFor(loaded.config) as number,
        slots,
        inherited?.counts,
        () => cacheMemory.usedBytes,
      ),
      isSuccessor: inherited !== undefined,
      inheritedHistory: inherited?.history,
      version,
      status: () => controls.status(),
      workers: (how) => controls.workers(how),
      config,
      quarantine: () => controls.quarantine(),
      listeners,
    });
    if (!inherited?.admin) this.#serveAdmin(await this.#adminModule.openAdminSocket(address, loaded));
  }

  /** With --admin: what the workers of a route count, as those of the server do. @throws StartupError */
  monitorRoute(match: string, { memory, slots }: Pick<ResourcesOfRoute, 'memory' | 'slots'>): void {
    const { loaded, inherited } = this.#options;
    if (!this.#adminModule || !this.#monitoring) return;
    const fd = memory.descriptorFor(loaded.config) as number;
    const before = inherited?.routes?.find((one) => one.match === match);
    this.#monitoring.addRoute(match, new this.#adminModule.CountedMemory(fd, slots, before));
  }

  /** In a successor: serves on the sockets of the old server. @throws StartupError */
  takeOver(): void {
    const { control, admin } = this.#options.inherited ?? {};
    if (control)
      this.#control = this.#controlModule?.serveControl(listener(control), this.#options.controls, this.#pages);
    if (admin && this.#monitoring) this.#serveAdmin(listener(admin));
    else if (admin) listener(admin).close(); // no longer configured
  }

  /** In a successor: the old server has exited. */
  predecessorEnded(): void {
    this.#monitoring?.predecessorEnded();
    const { inherited } = this.#options;
    const { counts, routes = [] } = inherited ?? {};
    for (const one of [counts, ...routes]) if (one) closeDescriptor(one.fd);
  }

  /** What a successor takes over. */
  get inheritable(): Pick<InheritedState, 'control' | 'admin' | 'counts' | 'routes' | 'history'> {
    return {
      control: this.#control?.listener,
      admin: this.#admin?.listener,
      counts: this.#monitoring?.inheritable,
      routes: this.#monitoring?.inheritableRoutes,
      history: this.#monitoring?.history,
    };
  }

  /** undefined without --admin. */
  get restarts(): Restarts | undefined {
    return this.#monitoring?.restarts;
  }

  /** undefined without --admin. */
  get counters(): HostCounters | undefined {
    return this.#monitoring?.counters;
  }

  /** With --admin. @param line of this server's log */
  logged(line: string): void {
    this.#monitoring?.logged(line);
  }

  /** Another server serves on the sockets from now on. */
  async abandon(): Promise<void> {
    await Promise.all([this.#control?.abandon(), this.#admin?.abandon()]);
  }

  async close(): Promise<void> {
    for (const one of [this.#control, this.#admin]) await one?.close();
  }

  /** Before the memory is closed. */
  endMonitoring(): void {
    this.#monitoring?.counters.end();
    this.#monitoring?.close();
  }

  /** Of the admin server, on the control socket; none without --admin. */
  readonly #pages = (): Pages => this.#monitoring?.pages ?? {};

  #serveAdmin(socket: Listener): void {
    const { loaded, events, controls } = this.#options;
    if (!this.#monitoring) return;
    this.#admin = this.#adminModule?.serveAdmin(socket, this.#monitoring, controls.act, loaded, events);
  }
}
