// What Node has itself: one process, and `node:cluster` with two.
import { fileURLToPath } from 'node:url';

const peer = (name, size, script, routes) => ({
  name,
  size,
  routes: ['/', '/cpu', '/wait', '/bytes', ...routes],
  needs: 'nothing',
  async version() {
    return process.versions.node;
  },
  async prepare(port) {
    const file = fileURLToPath(new URL(script, import.meta.url));
    return { command: [process.execPath, file], env: { PORT: String(port) } };
  },
});

export const nodeHttp = peer('node-http', '1 × 1', 'serve.js', []); // nobody would start it again after a crash
export const nodeCluster = peer('node-cluster', '2 × 1', 'cluster.js', ['/crash']);
