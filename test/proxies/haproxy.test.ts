import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileOf } from '../guides/page.ts';
import { findProgram } from '../helpers/programs.ts';
import { listen, Running, withChanges, writeCertificate } from './running.ts';
import { servesBehind } from './suite.ts';

servesBehind(
  'HAProxy',
  findProgram(['haproxy'], '-v', 'the tests behind HAProxy'),
  async (program, { site, address, adminPort }) => {
    const listening = await listen();
    const { folder } = site;
    writeCertificate(folder);
    const pem = path.join(folder, 'app.pem');
    const file = path.join(folder, 'haproxy.cfg');
    const stats = path.join(folder, 'stats');
    writeFileSync(pem, ['app.crt', 'app.key'].map((name) => readFileSync(path.join(folder, name), 'utf8')).join(''));
    const changes = {
      '/run/haproxy.sock': stats,
      'bind :80\n': 'bind fd@3\n',
      'bind :443 ': `bind unix@${path.join(folder, 'tls')} `,
      '/etc/haproxy/app.pem': pem,
      '127.0.0.1:8080': address.replace(/^\//, 'unix@/'),
      'port 9090': `port ${adminPort}`,
    };
    writeFileSync(file, withChanges(fileOf('docs/deploy/haproxy.md', '/etc/haproxy/haproxy.cfg'), changes));
    const running = await Running.start(program, ['-db', '-f', file], listening);
    return Object.assign(running, { hidden: () => failures(stats) });
  },
);

/** Of its statistics: errors of connections and responses, retries, other servers chosen, failed checks. */
async function failures(socket: string): Promise<readonly string[]> {
  const [names = [], ...rows] = (await ask(socket, 'show stat\n')).split('\n').map((line) => line.split(','));
  const ofFailures = ['econ', 'eresp', 'wretr', 'wredis', 'chkfail'].map((name) => names.indexOf(name));
  return rows.flatMap((row) =>
    ofFailures.filter((i) => Number(row[i] ?? 0) > 0).map((i) => `${row[0]} ${row[1]}: ${names[i]} ${row[i]}`),
  );
}

async function ask(socket: string, command: string): Promise<string> {
  const connection = net.connect(socket);
  let text = '';
  connection.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  connection.end(command);
  await once(connection, 'close');
  return text;
}
