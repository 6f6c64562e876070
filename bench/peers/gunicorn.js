// gunicorn with two workers, with one thread each (`sync`) and with four (`gthread`).
import { fileURLToPath } from 'node:url';
import { find, versionOf } from './program.js';

const peer = (workerClass, threads) => ({
  name: `gunicorn-${workerClass}`,
  size: `2 × ${threads}`,
  routes: ['/', '/cpu', '/wait', '/bytes', '/crash'],
  needs: 'gunicorn',
  version: () => versionOf(find('gunicorn'), '--version', /(\d[\w.]*)/),
  async prepare(port, folder) {
    const options = {
      bind: `127.0.0.1:${port}`,
      'worker-class': workerClass,
      workers: 2,
      threads,
      pythonpath: fileURLToPath(new URL('.', import.meta.url)),
      'worker-tmp-dir': folder,
      // In seconds; the default is 30, which it waits for idle clients when it is stopped.
      'graceful-timeout': 2,
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    return {
      command: [find('gunicorn'), ...args, 'app:app'],
      env: { PYTHONDONTWRITEBYTECODE: '1' }, // otherwise written to the folder of app.py
      cwd: folder,
    };
  },
  reload: { signal: 'SIGHUP' },
});

export const gunicornSync = peer('sync', 1);
export const gunicornGthread = peer('gthread', 4);
