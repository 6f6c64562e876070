// pm2 in cluster mode, run by `pm2-runtime`, which stays in the foreground and needs no daemon.
import { fileURLToPath } from 'node:url';
import { find, npmPackage, pathWithThisNode } from './program.js';

const peer = (name, script) => ({
  name,
  size: '2 × 1',
  routes: ['/', '/cpu', '/wait', '/bytes', '/crash'],
  needs: 'pm2-runtime on PATH or in $MPSERVE_PEERS/node_modules/.bin',
  async version() {
    return npmPackage(find('pm2-runtime'), 'pm2')?.version;
  },
  async prepare(port, folder) {
    const file = fileURLToPath(new URL(script, import.meta.url));
    return {
      command: [find('pm2-runtime'), 'start', file, '--instances', '2'],
      env: {
        PATH: pathWithThisNode,
        PORT: String(port),
        PM2_HOME: folder,
        PM2_DISABLE_VERSION_CHECK: 'true', // a network request would disturb the measurement
      },
      cwd: folder,
    };
  },
  reload: {
    words: '`pm2 reload all`',
    command: (folder) => ({
      command: [find('pm2'), 'reload', 'all'],
      env: { PATH: pathWithThisNode, PM2_HOME: folder, PM2_DISABLE_VERSION_CHECK: 'true' },
    }),
  },
});

export const pm2 = peer('pm2', 'serve.js');
/** For the comparison of reloads only; otherwise the same as pm2. */
export const pm2Graceful = peer('pm2-graceful', 'serve-gracefully.js');
