// Plain Node: one process with `node:http`, and `node:cluster` with two workers.
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

export const nodeHttp = peer('node-http', '1 × 1', 'serve.js', []); // no `/crash`: nothing would restart the process
export const nodeCluster = peer('node-cluster', '2 × 1', 'cluster.js', ['/crash']);
