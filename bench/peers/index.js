// The peers: the other servers that mpserve is compared with. None of them is a dependency of mpserve.
import { httpdEvent, httpdPrefork, httpdWorker } from './apache.js';
import { gunicornGthread, gunicornSync } from './gunicorn.js';
import { mpservePeers } from './mpserve.js';
import { nginx } from './nginx.js';
import { nodeCluster, nodeHttp } from './node.js';
import { pm2, pm2Graceful } from './pm2.js';
import { puma } from './puma.js';
import { watt } from './watt.js';

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} size workers × threads, for display
 * @property {('/' | '/cpu' | '/wait' | '/bytes' | '/crash')[]} routes the routes it supports: `/` responds
 * with the 13 bytes `Hello, World!`, `/cpu?ms=N` after N milliseconds of CPU time, `/wait?ms=N` after a wait of N
 * milliseconds, `/bytes?n=N` with N bytes; `/crash` crashes a worker, which is replaced
 * @property {number} [onlyBytes] the only N that `/bytes` supports, where it serves a file
 * @property {string} needs what has to be installed, for display
 * @property {() => Promise<string | undefined>} version undefined if the peer is not installed
 * @property {(port: number, folder: string) => Promise<Start>} prepare writes configuration files into `folder`, which is
 * empty, absolute and removed afterwards. Call it only if `version` resolves to a version
 * @property {Reload} [reload] how to reload code or configuration under load, according to the server's manual
 * @property {true} [isOwn] whether it is mpserve
 *
 * @typedef {{ signal: NodeJS.Signals } | { words: string, command: (folder: string) => Start }} Reload a signal to the
 * started process, or a command that exits when the reload is complete, and `words` for display
 *
 * @typedef {object} Start how to start a process that stays in the foreground, listens on 127.0.0.1:`port` only, writes
 * only into `folder`, and exits with all its children on SIGTERM
 * @property {string[]} command
 * @property {Record<string, string>} [env] additional environment variables
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

/** The peers that support reloads, mpserve first. node:cluster has no reload; Watt stops before it starts again. */
export const reloadable = [
  ...mpservePeers,
  ...peers.flatMap((peer) => (peer === pm2 ? [pm2, pm2Graceful] : peer)),
].filter((peer) => peer.reload);
