// nginx with static files.
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileBytes, writeFiles } from './files.js';
import { find, versionOf } from './program.js';

export const nginx = {
  name: 'nginx',
  size: '2 × 1',
  routes: ['/', '/bytes'],
  onlyBytes: fileBytes,
  needs: 'nginx',
  version: () => versionOf(find('nginx'), '-v', /nginx\/(\S+)/),
  async prepare(port, folder) {
    await writeFiles(folder);
    const template = await readFile(new URL('nginx.conf', import.meta.url), 'utf8');
    const file = path.join(folder, 'nginx.conf');
    await writeFile(file, template.replaceAll('@port@', String(port)));
    // If root starts nginx, its workers run as root, too, because the default user has no access to the folder. Other users
    // must not set `user`.
    const directives = process.getuid() === 0 ? 'daemon off; user root;' : 'daemon off;';
    // `-e` is the error log until nginx has read its configuration; the default is in a system folder.
    return { command: [find('nginx'), '-p', folder, '-c', file, '-e', 'stderr', '-g', directives] };
  },
  reload: { signal: 'SIGHUP' },
};
