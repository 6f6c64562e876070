// What a reload does to clients, of mpserve and of each peer that can be reloaded and is installed, in rounds in which
// they take turns. Makes the block of docs/benchmarks.md that says so.
import { median } from '../../dist/bench/summary.js';
import { publish } from './benchmarks-page.js';
import { reloadable } from './index.js';
import { connections, mostMs, reload } from './reload-trial.js';

const command = 'npm run bench:peers -- --reload';
/** Milliseconds from an answer to the next request: with none each connection always has one in flight. */
const kinds = [
  { thinkMs: 0, title: 'the next request at once' },
  { thinkMs: 10, title: 'the next request 10 ms after the answer' },
];

const columns = [
  { title: 'requests', of: ({ counts }) => counts.asked },
  { title: 'failed', of: ({ counts }) => counts.failed },
  { title: 'closed while idle', of: ({ counts }) => counts.closedIdle },
  { title: 'closes announced', of: ({ counts }) => counts.announced },
  { title: 'longest wait', of: ({ counts }) => counts.longestMs, write: seconds },
  { title: 'and before', of: ({ calm }) => calm.longestMs, write: seconds },
  { title: 'old processes gone after', of: ({ overMs }) => overMs ?? Number.POSITIVE_INFINITY, write: seconds },
];

/** @param {{ rounds: number, names: string[], signal: AbortSignal }} options only a run without `names` is published */
export async function compareReloads({ rounds, names, signal }) {
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds is a number of at least 1');
  const unknown = names.filter((name) => !reloadable.some((peer) => peer.name === name));
  if (unknown.length > 0) throw new Error(`no such peer: ${unknown.join(', ')}`);
  const rows = [];
  const absent = [];
  for (const peer of reloadable.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const version = await peer.version();
    if (version === undefined) absent.push(peer.name);
    rows.push({ peer, version, trials: kinds.map(() => []), troubles: new Set() });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const row of rows.filter(({ version }) => version !== undefined)) {
      for (const [i, { thinkMs }] of kinds.entries()) {
        const says = (text) => process.stderr.write(`round ${round}, ${row.peer.name}, ${thinkMs} ms: ${text}\n`);
        try {
          const trial = await reload(row.peer, thinkMs, signal);
          row.trials[i].push(trial);
          says(JSON.stringify({ ...trial.counts, overMs: trial.overMs, calm: trial.calm }));
        } catch (error) {
          if (signal.aborted) process.exit(130);
          row.troubles.add(error.message.split('\n')[0]);
          says(error.message);
        }
      }
    }
  }
  const text = report(rows);
  console.log(text);
  const terms = `${connections} connections, medians of ${rounds} reloads each, in brackets least and most`;
  if (names.length === 0) publish(command, terms, text, absent);
}

function report(rows) {
  return [...kinds.map(({ title }, i) => `**${title}**\n\n${table(rows, i)}`), ...notes(rows)].join('\n\n');
}

function table(rows, kind) {
  const head = ['server, workers × threads', 'reload', ...columns.map(({ title }) => title)];
  const lines = rows.map(({ peer, version, trials }) => {
    const who = peer.isOwn ? `**mpserve** ${peer.name}` : `${peer.name} ${version ?? ''}`.trim();
    const how = peer.reload.words ?? `\`${peer.reload.signal}\``;
    const cells = columns.map((column, i) => {
      if (version === undefined) return i === 0 ? 'not installed' : '';
      return trials[kind].length > 0 ? cell(trials[kind], column) : '';
    });
    return [`${who}, ${peer.size}`, how, ...cells];
  });
  return [head, head.map(() => '---'), ...lines].map((words) => `| ${words.join(' | ')} |`).join('\n');
}

function cell(trials, { of, write = (value) => Math.round(value).toLocaleString('en-US') }) {
  const values = trials.map(of);
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map(write);
  return least === most ? middle : `${middle} (${least} to ${most})`;
}

function seconds(ms) {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : `over ${mostMs / 1000} s`;
}

/** How requests failed; what was amiss before the reload; what could not be measured. */
function notes(rows) {
  const failures = rows.flatMap(({ peer, trials }) => {
    const kinds = Object.entries(sum(trials.flat().map(({ counts }) => counts.reasons)));
    return kinds.length > 0 ? [`${peer.name} ${kinds.map(([kind, count]) => `${count} ${kind}`).join(', ')}`] : [];
  });
  const restless = rows.flatMap(({ peer, trials }) => {
    const count = trials.flat().reduce((n, { calm }) => n + calm.failed + calm.closedIdle + calm.announced, 0);
    return count > 0 ? [`Note: in the calm second ${peer.name} had ended connections, too (${count} in all).`] : [];
  });
  const troubles = rows.flatMap(({ peer, troubles }) => [...troubles].map((what) => `Note: ${peer.name}: ${what}.`));
  return [
    ...(failures.length > 0 ? [`What failed, in all rounds: ${failures.join('; ')}.`] : []),
    ...restless,
    ...troubles,
  ];
}

/** Of each key that has numbers. */
function sum(records) {
  const totals = {};
  for (const [key, value] of records.flatMap((record) => Object.entries(record)))
    totals[key] = (totals[key] ?? 0) + value;
  return totals;
}
