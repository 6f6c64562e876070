import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileOf } from '../guides/page.ts';
import { findProgram } from '../helpers/programs.ts';
import { listen, Running, withChanges, writeCertificate } from './running.ts';
import { servesBehind } from './suite.ts';

servesBehind('nginx', findProgram(['nginx'], '-v', 'the tests behind nginx'), async (program, { site, address }) => {
  const listening = await listen();
  const folder = path.join(site.folder, 'nginx');
  mkdirSync(folder);
  chmodSync(site.folder, 0o711); // its workers, which are of another user where it runs as root, keep bodies there
  writeCertificate(folder);
  const bodies = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const file = path.join(folder, 'nginx.conf');
  const errors = path.join(folder, 'error.log');
  const changes = {
    '/run/nginx.pid': path.join(folder, 'pid'),
    '/var/log/nginx/error.log': errors,
    'http {': `http {\n${bodies.map((name) => `${name}_temp_path ${path.join(folder, name)};`).join('\n')}`,
    'listen 80;': `listen 127.0.0.1:${listening.port};`,
    'listen 443 ': `listen unix:${path.join(folder, 'tls')} `,
    '/etc/nginx/app.': path.join(folder, 'app.'),
    '127.0.0.1:8080': address.replace(/^\//, 'unix:/'),
  };
  writeFileSync(file, withChanges(fileOf('docs/deploy/nginx.md', '/etc/nginx/nginx.conf'), changes));
  const args = ['-p', folder, '-c', file, '-g', 'daemon off;'];
  const running = await Running.start(program, args, listening, { NGINX: '3;' });
  return Object.assign(running, {
    // It logs each failure of the server as an error, also one after which it asks again.
    hidden: async () =>
      readFileSync(errors, 'utf8')
        .split('\n')
        .filter((line) => / \[(error|crit|alert)\] /.test(line)),
  });
});
