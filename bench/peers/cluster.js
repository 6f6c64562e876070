// The primary of node-cluster: two workers, the default scheduling policy; who dies is replaced.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';

cluster.setupPrimary({ exec: fileURLToPath(new URL('serve.js', import.meta.url)) });
cluster.on('exit', () => cluster.fork());
cluster.fork();
cluster.fork();
