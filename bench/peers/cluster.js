// The primary of node-cluster: two workers with the default scheduling policy. It replaces a worker that exits.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';

cluster.setupPrimary({ exec: fileURLToPath(new URL('serve.js', import.meta.url)) });
cluster.on('exit', () => cluster.fork());
cluster.fork();
cluster.fork();
