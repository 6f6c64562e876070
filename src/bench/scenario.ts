// The scenarios: what kind of load, and with which requests. The only list of their names.
import type { Load, Request } from './job.js';
import type { ScenarioFacts } from './results.js';

export interface Scenario extends ScenarioFacts {
  readonly requests: readonly Request[];
  readonly load: Load;
  /** With so many connections instead of those that the user names. */
  readonly connections?: number;
  /** Asks for a route that only the demo app has. */
  readonly isDemo: boolean;
}

const get = (path: string, headers: Request['headers'] = {}): Request => ({ path, method: 'GET', headers });
const closed: Load = { kind: 'closed' };

/** `requests` are the user's own, or one for `/`; they take the place of the demo app's where that makes sense. */
export function scenarios(requests: readonly Request[]): readonly Scenario[] {
  const light: readonly Request[] = [get('/')];
  return [
    { name: 'hello', summary: 'the smallest of answers, kept-alive', requests: light, load: closed, isDemo: true },
    {
      name: 'cpu',
      summary: '5 ms of computation for each request',
      requests: [get('/cpu?ms=5')],
      load: closed,
      isDemo: true,
    },
    {
      name: 'wait',
      summary: '20 ms of waiting for each request',
      requests: [get('/wait?ms=20')],
      load: closed,
      isDemo: true,
    },
    {
      name: 'mixed',
      summary:
        '200 light requests a second, while one client after the other asks for 50 ms of computation; the figures are the light ones’',
      requests: light,
      load: { kind: 'open', rate: 200, beside: get('/cpu?ms=50') },
      connections: 16,
      isDemo: true,
    },
    {
      name: 'stream',
      summary: 'bodies of 1 MiB',
      requests: [get('/bytes?n=1048576')],
      load: closed,
      isDemo: true,
    },
    {
      name: 'crash',
      summary:
        '1,000 requests a second that wait for 20 ms, and 1 in 1,000 that kills its worker; errors are what the others lose',
      requests: [get('/wait?ms=20')],
      load: { kind: 'open', rate: 1000, every: { count: 1000, request: get('/crash') } },
      connections: 64,
      isDemo: true,
    },
    { name: 'own', summary: 'the requests that were asked for, kept-alive', requests, load: closed, isDemo: false },
    {
      name: 'short',
      summary: 'one request a connection',
      requests,
      load: { kind: 'one-each' },
      isDemo: false,
    },
    {
      name: 'idle',
      summary: '1,000 kept-alive connections that ask once and then do nothing',
      requests,
      load: { kind: 'idle' },
      connections: 1000,
      isDemo: false,
    },
  ];
}

/** Those that say most, where the user does not choose: `own` is `hello` with the demo app. */
export function usual(all: readonly Scenario[], isDemoApp: boolean): readonly Scenario[] {
  return all.filter(({ name, isDemo }) => (isDemoApp ? name !== 'own' : !isDemo));
}

/** In an open loop of `rate` requests a second; loads that have a pace of their own keep it. */
export function atRate(scenario: Scenario, rate: number): Scenario {
  return scenario.load.kind === 'closed' ? { ...scenario, load: { kind: 'open', rate } } : scenario;
}
