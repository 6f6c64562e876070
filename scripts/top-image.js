// Writes docs/img/top.svg: `mpserve top` on the demo app under load, as a terminal of tmux shows it. Needs tmux, and dist/.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../bin/mpserve.js', import.meta.url));
const image = fileURLToPath(new URL('../docs/img/top.svg', import.meta.url));
const size = { columns: 160, rows: 24 };
const clients = 12;
/** The demo app takes as long as it is told. */
const paths = ['/', '/?from=picture', '/wait?ms=80', '/cpu?ms=5'];
const slow = '/wait?ms=30000';

const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-top-image-'));
const control = path.join(folder, 'app.ctl');
const tmux = (...args) =>
  execFileSync('tmux', ['-S', path.join(folder, 'tmux'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8' },
  });

const server = spawn(
  process.execPath,
  [bin, '--model', 'hybrid', '--workers', '2', '--threads', '2', '--port', '0', '--control', control, '--admin', '0'],
  { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] },
);
const agent = new Agent({ keepAlive: true });
let isOver = false;
try {
  const url = await readyUrl();
  const load = Array.from({ length: clients }, (_, i) => client(url, i));
  const waiting = ask(`${url}${slow}`);
  tmux(
    ...['-f', '/dev/null', '-u', 'new-session', '-d', '-x', String(size.columns), '-y', String(size.rows)],
    `${process.execPath} ${bin} top --control ${control}`,
  );
  await pause(6000); // so that its figures are of a second under load
  const screen = tmux('capture-pane', '-e', '-N', '-p');
  if (!screen.includes('req/s')) throw new Error(`mpserve top has not started:\n${screen}`);
  writeFileSync(image, svg(screen.split('\n').slice(0, size.rows)));
  isOver = true;
  await Promise.all([...load, waiting]);
} finally {
  isOver = true;
  try {
    tmux('kill-server');
  } catch {} // it has not started
  agent.destroy();
  server.kill('SIGINT');
  await once(server, 'exit');
  rmSync(folder, { recursive: true });
}

async function readyUrl() {
  for await (const line of createInterface({ input: server.stdout })) {
    const { event, url } = JSON.parse(line);
    if (event === 'ready') return url;
  }
  throw new Error('the server has not started');
}

async function client(url, number) {
  for (let i = number; !isOver; i++) {
    await ask(url + paths[i % paths.length]);
    await pause(10);
  }
}

function ask(url) {
  return new Promise((done) => {
    get(url, { agent }, (response) => response.resume().on('close', done)).on('error', done);
  });
}

/** Of lines with SGR sequences (ECMA-48), those that `mpserve top` uses. */
function svg(lines) {
  const cell = { width: 7.8, height: 17 };
  const margin = 12;
  const texts = lines.map((line, row) => {
    const y = margin + row * cell.height;
    let column = 0;
    const parts = spans(line).map(({ text, style }) => {
      const x = margin + column * cell.width;
      const width = [...text].length * cell.width;
      column += [...text].length;
      const back = style.inverse
        ? `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${cell.height}" fill="#c9d1d9"/>`
        : '';
      if (text.trim() === '') return back;
      const fill = style.inverse ? '#0d1117' : (style.colour ?? (style.isFaint ? '#8b949e' : '#c9d1d9'));
      const weight = style.isBold ? ' font-weight="bold"' : '';
      return `${back}<text x="${x.toFixed(1)}" y="${y + 13}" textLength="${width.toFixed(1)}" fill="${fill}"${weight}>${escaped(text)}</text>`;
    });
    return parts.join('');
  });
  const width = Math.ceil(size.columns * cell.width + 2 * margin);
  const height = size.rows * cell.height + 2 * margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">
<title>mpserve top</title>
<rect width="100%" height="100%" rx="6" fill="#0d1117"/>
${texts.join('\n')}
</svg>
`;
}

/** The pieces of a line, each in one style. */
function spans(line) {
  const colours = { 31: '#ff7b72', 32: '#3fb950', 33: '#d29922' };
  let style = {};
  const [first, ...others] = line.split('\u001b[');
  const all = [{ text: first, style }];
  for (const part of others) {
    const end = part.indexOf('m');
    for (const code of part.slice(0, end).split(';')) {
      if (code === '0' || code === '') style = {};
      else if (code === '1') style = { ...style, isBold: true };
      else if (code === '2') style = { ...style, isFaint: true };
      else if (code === '7') style = { ...style, inverse: true };
      else if (code === '39') style = { ...style, colour: undefined };
      else if (colours[code]) style = { ...style, colour: colours[code] };
    }
    all.push({ text: part.slice(end + 1), style });
  }
  return all.filter(({ text }) => text !== '');
}

function escaped(text) {
  // SVG would make one of several spaces.
  return text.replaceAll(' ', '\u00a0').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
