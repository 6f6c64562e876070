// Puma in cluster mode.
import { fileURLToPath } from 'node:url';
import { find, versionOf } from './program.js';

export const puma = {
  name: 'puma',
  size: '2 × 5',
  routes: ['/', '/cpu', '/wait', '/bytes', '/crash'],
  needs: 'puma',
  version: () => versionOf(find('puma'), '--version', /(\d[\w.]*)/),
  async prepare(port, folder) {
    const file = fileURLToPath(new URL('puma.rb', import.meta.url));
    return { command: [find('puma'), '-C', file], env: { PORT: String(port) }, cwd: folder };
  },
  reload: { signal: 'SIGUSR1' }, // a phased restart, one worker after another
};
