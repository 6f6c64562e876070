// Apache httpd with static files, one peer for each of its three multi-processing modules (MPM).
import { existsSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fileBytes, writeFiles } from './files.js';
import { find, versionOf } from './program.js';

/** The module folders of Debian, Fedora, Alpine and of an installation from source. */
const moduleFolders = [
  '/usr/lib/apache2/modules',
  '/usr/lib64/httpd/modules',
  '/usr/lib/apache2',
  '/usr/local/apache2/modules',
];

const peer = (mpm, size) => ({
  name: `httpd-${mpm}`,
  size,
  routes: ['/', '/bytes'],
  onlyBytes: fileBytes,
  needs: `apache2 or httpd, and its mod_mpm_${mpm}.so`,
  async version() {
    return moduleFolder(mpm) && versionOf(program(), '-v', /Apache\/(\S+)/);
  },
  async prepare(port, folder) {
    await writeFiles(folder);
    // If root starts httpd, its children run as an unprivileged user, which needs access to the folder.
    await chmod(folder, 0o755);
    const file = fileURLToPath(new URL('apache.conf', import.meta.url));
    return {
      command: [program(), '-D', 'FOREGROUND', '-d', folder, '-f', file],
      env: { PORT: String(port), FOLDER: folder, MODULES: moduleFolder(mpm), MPM: mpm },
    };
  },
  reload: { signal: 'SIGUSR1' }, // a graceful restart
});

export const httpdPrefork = peer('prefork', '5 to 256 × 1');
export const httpdWorker = peer('worker', '3 to 16 × 25');
export const httpdEvent = peer('event', '3 to 16 × 25');

function program() {
  return find('apache2', 'httpd');
}

function moduleFolder(mpm) {
  return moduleFolders.find((folder) => existsSync(path.join(folder, `mod_mpm_${mpm}.so`)));
}
