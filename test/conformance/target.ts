// What the conformance suite is run against: a server that hosts `conformance.cjs`, on TCP and on a Unix socket at
// once, and the sentences that excuse it from what it cannot do.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { fixture, type Server, type ServerOptions, startServer } from '../helpers/server.js';
import { connect, type Response, type Wire } from '../helpers/wire.js';

/** What plain Node does not have; a target that lacks it says why. */
export type Feature =
  | 'request ids'
  | 'access log'
  | 'body limit'
  | 'failures answered'
  | 'apps that exit'
  | 'upgrades'
  | 'workers keep connections'
  | 'cut failures';

export interface Target {
  readonly start: Pick<ServerOptions, 'model' | 'accept' | 'script'>;
  /** Flags that give it more than one worker, where it can have them. */
  readonly args?: readonly string[];
  readonly gaps?: Partial<Record<Feature, string>>;
  /** `long` where others go through the same code. */
  readonly tags?: string[];
  /** Workers outlive connections. */
  readonly pooled?: boolean;
}

/** One address of a running server. */
export interface Place {
  readonly has: (feature: Feature) => boolean;
  readonly server: () => Server;
  readonly url: () => string;
  readonly connect: () => Promise<Wire>;
}

export const kinds = ['TCP', 'a Unix socket'] as const;

/** Starts the target with `args` before the tests of this `describe` and stops it after them. */
export function served(target: Target, args: readonly string[]): { server: () => Server; places: Place[] } {
  let running: Server | undefined;
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-'));
  beforeAll(async () => {
    const bind = ['127.0.0.1:0', `unix:${folder}/socket`];
    running = await startServer({
      ...target.start,
      app: fixture('conformance.cjs'),
      bind,
      args: [...(target.args ?? []), ...args],
    });
  });
  afterAll(async () => {
    await running?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const server = (): Server => {
    if (!running) throw new Error('the server is not running');
    return running;
  };
  const places = kinds.map((_, i) => {
    const url = () => server().urls[i] ?? '';
    return { server, url, connect: () => connect(url()), has: (feature: Feature) => !target.gaps?.[feature] };
  });
  return { server, places };
}

/** What `/echo` says that it got. */
export const echoed = ({ body }: Response) => JSON.parse(Buffer.from(body, 'latin1').toString());

let last = 0;
/** A text that no other request of this run has. */
export const token = (): string => `t${process.pid}-${last++}`;
