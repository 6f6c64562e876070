// The other servers that mpserve is compared with. Each owns its configuration; none is a dependency of mpserve.
import { httpdEvent, httpdPrefork, httpdWorker } from './apache.js';
import { gunicornGthread, gunicornSync } from './gunicorn.js';
import { own } from './mpserve.js';
import { nginx } from './nginx.js';
import { nodeCluster, nodeHttp } from './node.js';
import { pm2, pm2Graceful } from './pm2.js';
import { puma } from './puma.js';
import { watt } from './watt.js';

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} size workers × threads, in words
 * @property {('/' | '/cpu' | '/wait' | '/bytes' | '/crash')[]} routes which it answers: `/` with the 13 bytes
 * `Hello, World!`, `/cpu?ms=N` after N milliseconds of processor time, `/wait?ms=N` after N idle ones, `/bytes?n=N`
 * with N bytes; at `/crash` a worker ends, and is replaced
 * @property {number} [onlyBytes] the one N that `/bytes` is right for, where it is a file
 * @property {string} needs what has to be installed, in words, for when it is not
 * @property {() => Promise<string | undefined>} version undefined if what it needs is not here
 * @property {(port: number, folder: string) => Promise<Start>} prepare writes what it needs into `folder`, which is
 * empty, absolute and removed afterwards. Only where `version` is defined
 * @property {Reload} [reload] how its manual has it go over to new code or a new configuration while it serves
 * @property {true} [isOwn] it is mpserve
 *
 * @typedef {{ signal: NodeJS.Signals } | { words: string, command: (folder: string) => Start }} Reload a signal to the
 * process that was started, or a command that settles when it is done, and what it is in words
 *
 * @typedef {object} Start how to start a process that stays in the foreground, answers at 127.0.0.1:`port` alone,
 * writes only into `folder`, and at SIGTERM ends with all its children
 * @property {string[]} command
 * @property {Record<string, string>} [env] to be added to the environment
 * @property {string} [cwd]
 */

/** @type {Peer[]} */
export const peers = [
  nodeHttp,
  nodeCluster,
  pm2,
  watt,
  httpdPrefork,
  httpdWorker,
  httpdEvent,
  nginx,
  gunicornSync,
  gunicornGthread,
  puma,
];

/** Those that can be reloaded, mpserve first. node:cluster leaves that to its user; Watt ends before it starts again. */
export const reloadable = [...own, ...peers.flatMap((peer) => (peer === pm2 ? [pm2, pm2Graceful] : peer))].filter(
  (peer) => peer.reload,
);
