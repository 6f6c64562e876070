// Generates docs/signals.md from the table of signals.
import { signals } from './signals.js';

export function signalsPage(): string {
  const rows = Object.entries(signals).map(([name, { description }]) => `| \`${name}\` | ${description} |`);
  return `# Signals

<!-- Generated from src/supervisor/signals.ts by "npm run docs". Change that file, not this page. -->

Send signals to the supervisor; the \`pid\` of the ready line in the log is its pid. The signals mean the same as in
gunicorn and nginx. Do not signal workers: the supervisor controls them over IPC, and replaces a worker that is killed.
[\`mpserve ctl\`](control.md) offers more actions, and reports the outcome of each.

Node takes about 0.1 s to load mpserve. A signal that comes before that ends the process as it ends any other (SIGTERM: exit
status 143); nothing has been started by then, so nothing is left.

| signal | action |
| --- | --- |
${rows.join('\n')}
`;
}
