// Platformatic Watt: two worker threads that share the port with SO_REUSEPORT, which needs a newer Node.
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { find, npmPackage, pathWithThisNode, readVersion } from './program.js';

const minNodeVersion = [22, 19];

/** @param app a module that exports a listener for requests; undefined for the app of the other peers */
export const wattWith = (app) => ({
  name: 'watt',
  size: '1 × 2',
  routes: ['/', '/cpu', '/wait', '/bytes', '/crash'],
  needs:
    'wattpm 3 on PATH or in $MPSERVE_PEERS/node_modules/.bin, @platformatic/node beside it, and Node 22.19 or newer',
  async version() {
    const found = npmPackage(find('wattpm'), 'wattpm');
    const isComplete = found && readVersion(path.join(found.modules, '@platformatic/node')) !== undefined;
    return isComplete && isNodeNewEnough() && found.version.startsWith('3.') ? found.version : undefined;
  },
  async prepare(port, folder) {
    const program = find('wattpm');
    const temporary = path.join(folder, 'tmp');
    await mkdir(temporary);
    // Watt resolves `@platformatic/node` from the application's folder.
    await symlink(npmPackage(program, 'wattpm').modules, path.join(folder, 'node_modules'));
    await writeFile(path.join(folder, 'watt.json'), JSON.stringify(configuration(port)));
    return {
      command: [program, 'start', folder],
      env: { PATH: pathWithThisNode, PORT: String(port), TMPDIR: temporary, ...(app && { APP: app }) },
      cwd: folder,
    };
  },
});

export const watt = wattWith(undefined);

function configuration(port) {
  return {
    $schema: 'https://schemas.platformatic.dev/@platformatic/node/3.0.0.json',
    node: { main: fileURLToPath(new URL('serve.js', import.meta.url)) },
    runtime: {
      server: { hostname: '127.0.0.1', port },
      workers: 2,
      logger: { level: 'warn' },
    },
  };
}

function isNodeNewEnough() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > minNodeVersion[0] || (major === minNodeVersion[0] && minor >= minNodeVersion[1]);
}
