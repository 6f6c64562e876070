import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileOf } from '../guides/page.ts';
import { findProgram } from '../helpers/programs.ts';
import { freePort, Running, withChanges } from './running.ts';
import { servesBehind } from './suite.ts';

servesBehind(
  'Caddy',
  findProgram(['caddy'], 'version', 'the tests behind Caddy'),
  async (program, { site, address, adminPort }) => {
    const listening = await freePort();
    const file = path.join(site.folder, 'Caddyfile');
    const changes = {
      '/run/caddy-admin.sock': path.join(site.folder, 'caddy-admin'),
      '127.0.0.1:8080': address.replace(/^\//, 'unix//'),
      'health_port 9090': `health_port ${adminPort}`,
    };
    writeFileSync(file, withChanges(fileOf('docs/deploy/caddy.md', '/etc/caddy/Caddyfile'), changes));
    const variables = {
      SITE: `http://:${listening.port}`,
      HOME: site.folder,
      XDG_DATA_HOME: site.folder,
      XDG_CONFIG_HOME: site.folder,
    };
    const running = await Running.start(program, ['run', '--config', file], listening, variables);
    return Object.assign(running, {
      hidden: async () => running.lines.filter((line) => /"level":"(warn|error)"/.test(line)),
    });
  },
);
