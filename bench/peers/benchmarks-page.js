// Writes the generated blocks of docs/benchmarks.md. Each is between a comment that names its command and the next `end`.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, type as osType, release } from 'node:os';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

export const mpserveVersion = version;

/**
 * Replaces the block of `command` with `text`.
 * @param {string} settings of the measurement, for the block's first line after the date and the machine
 * @param {string[]} missing the names of servers that are not installed
 */
export function publish(command, settings, text, missing) {
  const [begin, end] = [`<!-- made by ${command} -->`, '<!-- end -->'];
  const old = readFileSync(page, 'utf8');
  const from = old.indexOf(begin) + begin.length;
  const to = old.indexOf(end, from);
  if (from < begin.length || to < 0) throw new Error(`${page} has no block between ${begin} and ${end}`);
  const when = [
    new Date().toISOString().slice(0, 10),
    `mpserve ${version} on Node ${process.version}`,
    `${cpus().length} × ${cpus()[0]?.model.trim()}`,
    `${osType()} ${release()}`,
    // Mentioned because it slows down the start of every Node process.
    ...(process.env.NODE_EXTRA_CA_CERTS ? ['NODE_EXTRA_CA_CERTS set'] : []),
    settings,
  ].join(', ');
  const notInstalled = missing.length > 0 ? `\n\nNot installed: ${missing.join(', ')}.` : '';
  writeFileSync(page, `${old.slice(0, from)}\n${when}.\n\n${text}${notInstalled}\n${old.slice(to)}`);
}
