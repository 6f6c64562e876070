// Compares the effect of a reload on clients, of mpserve and of each installed peer that supports reloads. Each round
// reloads all of them, one after another. Writes the results to docs/benchmarks.md.
import { median } from '../../dist/bench/summary.js';
import { publish } from './benchmarks-page.js';
import { reloadable } from './index.js';
import { connections, maxObservationMs, reload } from './reload-trial.js';

const command = 'npm run bench:peers -- --reload';
/** The think time: from a response to the next request. Without it each connection always has a request in flight. */
const loads = [
  { thinkMs: 0, title: 'no think time' },
  { thinkMs: 10, title: '10 ms think time' },
];

const columns = [
  { title: 'requests', of: ({ counts }) => counts.sent },
  { title: 'failed', of: ({ counts }) => counts.failed },
  { title: 'closed while idle', of: ({ counts }) => counts.closedIdle },
  { title: 'closes announced', of: ({ counts }) => counts.closesAnnounced },
  { title: 'longest wait', of: ({ counts }) => counts.longestMs, write: seconds },
  { title: 'longest wait before', of: ({ before }) => before.longestMs, write: seconds },
  {
    title: 'old processes exited after',
    of: ({ oldProcessesMs }) => oldProcessesMs ?? Number.POSITIVE_INFINITY,
    write: seconds,
  },
];

/** @param {{ rounds: number, names: string[], signal: AbortSignal }} options a run with `names` is not published */
export async function compareReloads({ rounds, names, signal }) {
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds must be a whole number of at least 1');
  const unknown = names.filter((name) => !reloadable.some((peer) => peer.name === name));
  if (unknown.length > 0) throw new Error(`unknown peer: ${unknown.join(', ')}`);
  const rows = [];
  const missing = [];
  for (const peer of reloadable.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const version = await peer.version();
    if (version === undefined) missing.push(peer.name);
    rows.push({ peer, version, trials: loads.map(() => []), errors: new Set() });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const row of rows.filter(({ version }) => version !== undefined)) {
      for (const [i, { thinkMs }] of loads.entries()) {
        const log = (text) => process.stderr.write(`round ${round}, ${row.peer.name}, ${thinkMs} ms: ${text}\n`);
        try {
          const trial = await reload(row.peer, thinkMs, signal);
          row.trials[i].push(trial);
          const { counts, oldProcessesMs, before } = trial;
          log(JSON.stringify({ ...counts, oldProcessesMs, before }));
        } catch (error) {
          if (signal.aborted) process.exit(130);
          row.errors.add(error.message.split('\n')[0]);
          log(error.message);
        }
      }
    }
  }
  const text = report(rows);
  console.log(text);
  const settings = `${connections} connections, medians and ranges of ${rounds} reloads each`;
  if (names.length === 0) publish(command, settings, text, missing);
}

function report(rows) {
  return [...loads.map(({ title }, i) => `**${title}**\n\n${table(rows, i)}`), ...notesOf(rows)].join('\n\n');
}

function table(rows, load) {
  const head = ['server, workers × threads', 'reload', ...columns.map(({ title }) => title)];
  const lines = rows.map(({ peer, version, trials }) => {
    const server = peer.isOwn ? `**mpserve** ${peer.name}` : `${peer.name} ${version ?? ''}`.trim();
    const method = peer.reload.words ?? `\`${peer.reload.signal}\``;
    const cells = columns.map((column, i) => {
      if (version === undefined) return i === 0 ? 'not installed' : '';
      return trials[load].length > 0 ? cell(trials[load], column) : '';
    });
    return [`${server}, ${peer.size}`, method, ...cells];
  });
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function cell(trials, { of, write = (value) => Math.round(value).toLocaleString('en-US') }) {
  const values = trials.map(of);
  const [middle, min, max] = [median(values), Math.min(...values), Math.max(...values)].map(write);
  return min === max ? middle : `${middle} (${min} to ${max})`;
}

function seconds(ms) {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : `over ${maxObservationMs / 1000} s`;
}

/** The reasons of failed requests, errors before the reload, and trials that failed. */
function notesOf(rows) {
  const failures = rows.flatMap(({ peer, trials }) => {
    const reasons = Object.entries(sum(trials.flat().map(({ counts }) => counts.reasons)));
    return reasons.length > 0
      ? [`${peer.name} ${reasons.map(([reason, count]) => `${count} ${reason}`).join(', ')}`]
      : [];
  });
  const closesBefore = rows.flatMap(({ peer, trials }) => {
    const count = trials
      .flat()
      .reduce((n, { before }) => n + before.failed + before.closedIdle + before.closesAnnounced, 0);
    return count > 0 ? [`Note: ${peer.name} also closed ${count} connections in the second before a reload.`] : [];
  });
  const errorNotes = rows.flatMap(({ peer, errors }) => [...errors].map((error) => `Note: ${peer.name}: ${error}.`));
  return [
    ...(failures.length > 0 ? [`Failed requests in all rounds: ${failures.join('; ')}.`] : []),
    ...closesBefore,
    ...errorNotes,
  ];
}

/** Adds up the numbers of each key. */
function sum(records) {
  const totals = {};
  for (const [key, value] of records.flatMap((record) => Object.entries(record)))
    totals[key] = (totals[key] ?? 0) + value;
  return totals;
}
