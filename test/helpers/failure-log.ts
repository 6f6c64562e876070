// When a test has failed: what the last servers of its file have printed, as a failure may be seen only once.
import { afterEach } from 'vitest';

export interface Printer {
  readonly printed: () => string;
}

const keptServers = 8;
const printers: Printer[] = [];

/** Keeps what it prints until `keptServers` others have been started. */
export function keepForFailure(printer: Printer): void {
  printers.push(printer);
  if (printers.length > keptServers) printers.shift();
}

afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  console.error(`The last servers of the file of "${task.name}" have printed:`);
  for (const { printed } of printers.splice(0)) console.error(`${printed()}\n`);
});
