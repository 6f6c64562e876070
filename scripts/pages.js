// The pages of docs/ that are made from tables in `dist/`, which must have been built: docs/options.md,
// docs/signals.md and docs/metrics.md. Writes no file.
import { oneOf } from '../dist/config/kind.js';
import { defaultWords, listOptions, optionTable } from '../dist/config/options.js';
import { definitions } from '../dist/metrics/definitions.js';
import { models } from '../dist/strategies/models.js';
import { signals } from '../dist/supervisor/signals.js';

const facts = Object.values(models);
const columns = ['Flag', 'Variable', 'Key', 'Values', 'Default', 'Description'];

/** As Markdown. */
export function optionsPage() {
  const options = listOptions(optionTable(facts));
  const groups = [...new Set(options.map(({ group }) => group))];
  const sections = groups.map((group) => section(group, options));
  return `# Options

<!-- Generated from src/config/options.ts by "npm run docs". Change that file, not this page. -->

Each option can be set with a flag, an environment variable or a key in \`mpserve.config.{js,mjs,cjs,json}\`. Precedence,
highest first: flag, variable, file, default. \`mpserve config\` prints each value and its source.

- A time is \`500ms\`, \`20s\`, \`5m\` or \`1h\`; a bare number is seconds.
- A size is \`16k\`, \`64M\` or \`1G\`, in powers of 1024; a bare number is bytes.
- A repeatable option is a list in the file, and separated by white space in the variable.
- \`--no-\` before the name of a switch turns it off.
- A relative path is resolved against the directory of \`--cwd\`, or else the current directory; in the file, against the
  directory of the file.
- A file of \`--env-file\` can have the variables of options, too; they override \`mpserve.config.*\`, and the environment
  overrides them. Node reads the flag \`--env-file\` before mpserve starts: if a file is missing, Node answers \`node: PATH:
  not found\` and exits with 9. Set with a variable or in \`mpserve.config.*\`, mpserve answers, and exits with 2.

${tableOf(
  ['Model', 'Description'],
  facts.map(({ name, summary }) => [`\`${name}\``, summary]),
)}
${sections.join('\n')}`;
}

/** As Markdown. */
export function signalsPage() {
  const rows = Object.entries(signals).map(([name, { description }]) => [`\`${name}\``, description]);
  return `# Signals

<!-- Generated from src/supervisor/signals.ts by "npm run docs". Change that file, not this page. -->

Send signals to the supervisor; the \`pid\` of the ready line in the log is its pid. The signals mean the same as in
gunicorn and nginx. Do not signal workers: the supervisor controls them over IPC, and replaces a worker that is killed.
[\`mpserve ctl\`](control.md) offers more actions, and reports the outcome of each.

Node takes about 0.1 s to load mpserve. A signal that comes before that ends the process as it ends any other (SIGTERM: exit
status 143); nothing has been started by then, so nothing is left.

${tableOf(['signal', 'action'], rows)}`;
}

/** As Markdown. */
export function metricsPage() {
  const rows = definitions.map(({ name, type, labels = [], help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]);
  return `# Metrics

<!-- Generated from src/metrics/definitions.ts by "npm run docs". Change that file, not this page. -->

\`mpserve --admin 127.0.0.1:9090\` serves them at \`/metrics\`, in the text format of Prometheus, or of OpenMetrics if the
scraper accepts it; \`mpserve ctl\` is not needed. With \`--control\`, the control socket has the same page.

[deploy/prometheus.md](deploy/prometheus.md) has the configuration of Prometheus, alerting rules, and a dashboard for Grafana.

The counters are in memory that all workers and threads share with the supervisor. What a worker has counted stays when it is
killed, and no counter goes back at a reload, a switch of the model or an upgrade. A request is counted when its response
begins, before anything is written: if its worker is killed before all is written, it is counted, and its client has no whole
response; \`request-lost\` in the log names it. Requests that mpserve sends to the app itself (\`--ready-path\`) are not counted,
nor is what Node answers to bytes that are no HTTP request. A request that switches to another protocol (WebSocket) is
counted as \`1xx\`, and has no duration. Health checks that mpserve answers (\`--health-path\`) are counted as all others. No
label has a value that a client can choose: another method than these is \`other\`. The causes of \`mpserve_exits_total\` are in
[control.md](control.md#causes-of-exits).

${tableOf(['Name', 'Type', 'Labels', 'Meaning'], rows)}`;
}

function section(group, options) {
  const rows = options
    .filter((option) => option.group === group)
    .map((option) => [
      option.positional ? `argument \`${option.kind.metavar}\`` : flags(option),
      `\`${option.env}\``,
      option.key === 'config' ? 'none' : `\`${option.key}\``,
      allowed(option),
      defaultWords(option),
      `${option.description}${noEffectNote(option)}`,
    ]);
  return `## ${group}\n\n${tableOf(columns, rows)}`;
}

function flags({ flag, alias }) {
  return [`--${flag}`, ...(alias ? [`-${alias}`] : [])].map((one) => `\`${one}\``).join(', ');
}

function allowed({ kind }) {
  if (kind.choices) return kind.choices.join(', ');
  return kind.range ?? (kind.metavar || 'true, false');
}

function noEffectNote({ hasEffect }) {
  const names = facts.filter((one) => hasEffect && !hasEffect(one)).map(({ name }) => name);
  return names.length > 0 ? `. Does nothing in ${oneOf(names, 'and')}` : '';
}

function tableOf(head, rows) {
  const lines = [head, head.map(() => '---'), ...rows];
  return `${lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}\n`;
}
