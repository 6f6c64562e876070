// mpserve as a peer: its five models at their defaults, and prefork without connection migration.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../bin/mpserve.js', import.meta.url));
const app = fileURLToPath(new URL('app.js', import.meta.url));
const socketIn = (folder) => path.join(folder, 'control');

const peer = (name, size, ...args) => ({
  name,
  size,
  isOwn: true,
  routes: ['/', '/cpu', '/wait', '/bytes', '/crash'],
  needs: 'nothing',
  async version() {
    return process.versions.node;
  },
  async prepare(port, folder) {
    const options = [...args, '--bind', `127.0.0.1:${port}`, '--control', socketIn(folder)];
    return { command: [process.execPath, bin, app, '--model', ...options] };
  },
  reload: {
    words: '`mpserve ctl reload`',
    command: (folder) => ({ command: [process.execPath, bin, 'ctl', 'reload', '--control', socketIn(folder)] }),
  },
});

export const mpservePeers = [
  peer('prefork', '2 × 1', 'prefork'),
  peer('prefork --no-migrate', '2 × 1', 'prefork', '--no-migrate'),
  peer('prethread', '1 × 2', 'prethread'),
  peer('hybrid', '2 × 2', 'hybrid'),
  peer('tpc', 'a thread each', 'tpc'),
  peer('ppc', 'a process each', 'ppc'),
];
