// The help of a command, and of each command of `mpserve ctl`. Loaded only for help.
import { type CommandFacts, type CommandLine, helpText } from '../config/help.js';
import { examples } from './examples.js';

/** The commands of `mpserve ctl`: their arguments in the usage line, a summary, and the switches that not all of them take. */
const ctlHelp: Readonly<Record<string, readonly [takes: string, summary: string, ...flags: string[]]>> = {
  status: [
    '',
    'Print the state of a running server: app, model, workers, generation, requests, last action',
    'check',
    'watch',
  ],
  workers: [
    '',
    'Print each process and thread of a running server: generation, stage, requests, load, memory, CPU time, event loop',
    'watch',
  ],
  stacks: ['', 'Print the JavaScript stack and the requests in flight of each worker and thread, blocked ones too'],
  profile: ['[WORKER[.THREAD]]', 'Write a CPU profile of a worker or thread, for Chrome DevTools', 'seconds', 'output'],
  heap: ['[WORKER[.THREAD]]', 'Write a heap snapshot of a worker or thread, which is blocked meanwhile', 'output'],
  config: ['', 'Print each setting of a running server with its value and the source of the value'],
  quarantine: [
    '[list|clear]',
    'List the requests that were in flight when a worker died; clear accepts all of them again',
  ],
  cache: [
    '[stats|purge [URL|TAG]]',
    'Print what the cache has done (--cache); purge removes the responses for a URL, or with a tag, or all',
  ],
  reload: ['', 'Reload the configuration and the app: workers of a new generation replace the old ones'],
  balance: ['POLICY [WEIGHTS]', 'Place connections by another policy, as of --balance, with the same workers'],
  switch: ['', 'Switch to another model, or to other numbers of workers and threads, without a restart'],
  upgrade: ['', 'Upgrade to the installed versions of mpserve and Node, which take over sockets and connections'],
  scale: ['<4|+1|-1>', 'Change the number of workers'],
  drain: [
    '',
    'Stop all workers when their requests are done, but keep the server; reload or scale starts workers again',
  ],
  reopen: ['', 'Reopen the log files after they have been renamed'],
  stop: ['', 'Stop the server when the requests in flight are done', 'now'],
};

/** @param argument the first one: for `ctl`, its command */
export function commandHelp(line: CommandLine, command: CommandFacts, argument: string | undefined, width: number) {
  if (command.name !== 'ctl') {
    const commands = command.default ? line.commands : [];
    return helpText({ ...line, commands }, command, examples[command.name] ?? [], width);
  }
  const entries = Object.entries(ctlHelp);
  const known = entries.map(([name, [takes, summary]]) => ({ name: `ctl ${name}`, takes, summary }));
  const facts = known.find(({ name }) => name === `ctl ${argument}`);
  const takesPool = facts === undefined || argument === 'switch';
  const options = line.options.filter(
    ({ key, isSwitchable }) => ['control', 'config'].includes(key) || (takesPool && isSwitchable),
  );
  const [, , ...own] = (argument !== undefined && ctlHelp[argument]) || [];
  const isOther = (flag: string) => entries.some(([, [, , ...flags]]) => flags.includes(flag)) && !own.includes(flag);
  const isShown = ({ flag }: { readonly flag: string }) => facts === undefined || !isOther(flag);
  const taken = { switches: command.switches?.filter(isShown) ?? [], options: command.options?.filter(isShown) ?? [] };
  const shown = { ...line, options, models: takesPool ? line.models : [], commands: facts ? [] : known };
  return helpText(shown, { ...command, ...facts, ...taken }, examples[(facts ?? command).name] ?? [], width);
}
