// The generated blocks of docs/benchmarks.md, each between a line that names what makes it and the next `end`.
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, type as osType, release } from 'node:os';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

export const ours = version;

/**
 * Replaces the block that `command` makes.
 * @param {string} terms what was measured how often, for the block's first line, beside the date and the machine
 * @param {string[]} absent the names of what is not installed
 */
export function publish(command, terms, text, absent) {
  const [begin, end] = [`<!-- made by ${command} -->`, '<!-- end -->'];
  const old = readFileSync(page, 'utf8');
  const from = old.indexOf(begin) + begin.length;
  const to = old.indexOf(end, from);
  if (from < begin.length || to < 0) throw new Error(`${page} has no block between ${begin} and ${end}`);
  const when = [
    new Date().toISOString().slice(0, 10),
    `mpserve ${ours} on Node ${process.version}`,
    `${cpus().length} × ${cpus()[0]?.model.trim()}`,
    `${osType()} ${release()}`,
    // Every Node process then reads all of these as it starts.
    ...(process.env.NODE_EXTRA_CA_CERTS ? ['NODE_EXTRA_CA_CERTS set'] : []),
    terms,
  ].join(', ');
  const missing = absent.length > 0 ? `\n\nNot installed there: ${absent.join(', ')}.` : '';
  writeFileSync(page, `${old.slice(0, from)}\n${when}.\n\n${text}${missing}\n${old.slice(to)}`);
}
