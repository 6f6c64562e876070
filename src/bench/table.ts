// The results as text: a table for each scenario, a column for each contender.
import { columns } from '../log/columns.js';
import type { Results } from './results.js';
import { connectionsOf, figures, rank, row, type Summary, summarise } from './summary.js';

const marks = { best: '*', tie: '=', other: ' ' } as const;

/** Plain text without colours, for a terminal or a file. */
export function table(results: Results): string {
  const { machine, contenders, scenarios, settings, app, version } = results;
  const loop = settings.rate === undefined ? '' : `, ${settings.rate} requests/s`;
  const head = [
    `${app} under mpserve ${version} on Node ${machine.node}, ${machine.cores} × ${machine.cpu}, ${machine.os}`,
    `${settings.rounds} round(s) of ${settings.durationMs / 1000} s${loop}: medians ± half the range. ` +
      '* is the best, = a tie: no difference beyond the spread, or one below 5 %.',
  ];
  const sound = contenders.filter(
    ({ failure, name }) => !failure || results.cells.some((cell) => cell.contender === name),
  );
  const boots = [
    ['', ...sound.map(({ name }) => name)],
    ['workers × threads', ...sound.map(({ size }) => size)],
    [
      'start to ready',
      ...sound.map(({ bootMs }) => (bootMs.length > 0 ? `${Math.round(Math.min(...bootMs))} ms` : '')),
    ],
  ];
  const parts = scenarios.flatMap(({ name, summary }) => {
    const lines = rows(results, name);
    return lines.length > 0
      ? [`${name}: ${summary}\n${columns([['', ...contenders.map((one) => one.name)], ...lines])}`]
      : [];
  });
  const failed = contenders.flatMap(({ name, failure }) =>
    failure ? [`${name} could not be measured: ${failure}`] : [],
  );
  const notes = results.warnings.map((warning) => `Note: ${warning}.`);
  const cut = results.interrupted ? ['It was stopped before it was through.'] : [];
  return [head.join('\n'), columns(boots), ...parts, ...failed, ...notes, ...cut].join('\n\n');
}

function rows(results: Results, scenario: string): string[][] {
  return connectionsOf(results, scenario).flatMap((connections) => {
    const cells = row(results, scenario, connections);
    return figures.flatMap((figure) => {
      const summaries = cells.map((cell) => cell && summarise(figure, cell));
      if (summaries.every((one) => one === undefined)) return [];
      const ranks = rank(figure, summaries);
      const words = summaries.map((one, i) => `${one ? write(figure.write, one) : ''} ${marks[ranks[i] ?? 'other']}`);
      return [[`${figure.title}, ${connections} conn.`, ...words]];
    });
  });
}

function write(words: (value: number) => string, { median, least, most }: Summary): string {
  const spread = median > 0 ? Math.round(((most - least) / 2 / median) * 100) : 0;
  return spread > 0 ? `${words(median)} ±${spread}%` : words(median);
}
