// The scenarios of a comparison: each is a kind of load with its requests. The only list of their names.
import type { Load, Request } from './job.js';
import type { ScenarioInfo } from './results.js';

export interface Scenario extends ScenarioInfo {
  readonly requests: readonly Request[];
  readonly load: Load;
  /** Overrides `--connections`. */
  readonly connections?: number;
  /** Needs a route of the demo app, or a `/` as cheap as the demo app's. */
  readonly isDemo: boolean;
}

const get = (path: string, headers: Request['headers'] = {}): Request => ({ path, method: 'GET', headers });
const closed: Load = { kind: 'closed' };

/** Need the routes of the demo app, or a `/` as cheap as the demo app's. */
const demoScenarios: readonly Omit<Scenario, 'isDemo'>[] = [
  { name: 'hello', summary: '13-byte responses over keep-alive connections', requests: [get('/')], load: closed },
  { name: 'cpu', summary: '5 ms of CPU time per request', requests: [get('/cpu?ms=5')], load: closed },
  { name: 'wait', summary: 'a 20 ms wait per request', requests: [get('/wait?ms=20')], load: closed },
  {
    name: 'mixed',
    summary:
      '200 light requests per second, while another client keeps sending requests that take 50 ms of CPU time; metrics are of the light requests',
    requests: [get('/')],
    load: { kind: 'open', rate: 200, background: get('/cpu?ms=50') },
    connections: 16,
  },
  { name: 'stream', summary: 'response bodies of 1 MiB', requests: [get('/bytes?n=1048576')], load: closed },
  {
    name: 'crash',
    summary:
      '1,000 requests per second with a 20 ms wait, of which 1 in 1,000 crashes its worker; errors are of the other requests',
    requests: [get('/wait?ms=20')],
    load: { kind: 'open', rate: 1000, every: { count: 1000, request: get('/crash') } },
    connections: 64,
  },
];

/** For any app. */
const appScenarios: readonly Omit<Scenario, 'isDemo' | 'requests'>[] = [
  { name: 'own', summary: 'the given requests over keep-alive connections', load: closed },
  { name: 'short', summary: 'one request per connection', load: { kind: 'connection-per-request' } },
  {
    name: 'idle',
    summary: '1,000 keep-alive connections that send one request and then stay idle',
    load: { kind: 'idle' },
    connections: 1000,
  },
];

/** @param requests the user's requests, or one for `/`; the scenarios for any app send them */
export function scenarios(requests: readonly Request[]): readonly Scenario[] {
  return [
    ...demoScenarios.map((one) => ({ ...one, isDemo: true })),
    ...appScenarios.map((one) => ({ ...one, requests, isDemo: false })),
  ];
}

/** The scenarios without `--scenarios`. With the demo app, `own` would repeat `hello`. */
export function defaultScenarios(all: readonly Scenario[], isDemoApp: boolean): readonly Scenario[] {
  return all.filter(({ name, isDemo }) => (isDemoApp ? name !== 'own' : !isDemo));
}

/** Turns a closed loop into an open loop of `rate` requests per second; other loads stay as they are. */
export function atRate(scenario: Scenario, rate: number): Scenario {
  return scenario.load.kind === 'closed' ? { ...scenario, load: { kind: 'open', rate } } : scenario;
}
