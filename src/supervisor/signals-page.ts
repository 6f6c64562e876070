// docs/signals.md, made from the table of signals.
import { signals } from './signals.js';

export function signalsPage(): string {
  const rows = Object.entries(signals).map(([name, { description }]) => `| \`${name}\` | ${description} |`);
  return `# Signals

<!-- Generated from src/supervisor/signals.ts by "npm run docs". Change that file, not this page. -->

Those of gunicorn and nginx, sent to the supervisor: the \`pid\` of the ready line. Workers are told what to do over a
channel of their own; a signal to one of them is at most \`SIGKILL\`, after which it is replaced. What a signal cannot
say, [\`mpserve ctl\`](control.md) does, and tells what came of it.

| signal | what the server does |
| --- | --- |
${rows.join('\n')}
`;
}
