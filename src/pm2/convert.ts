// Converts an app of a pm2 file (ecosystem.config.js) to settings of mpserve, and names what has no counterpart. Reads and
// writes no file.
import path from 'node:path';
import { inspect } from 'node:util';
import type { Written } from '../config/kind.js';
import type { OptionTable } from '../config/options.js';
import type { UserConfig } from '../config/user-config.js';

/** An app as the pm2 file has it. */
export type Pm2App = Readonly<Record<string, unknown>>;

export interface Converted {
  readonly settings: Readonly<Record<string, Written>>;
  /** The variables in `env`, and those in `env_NAME` by that name. */
  readonly variables: Readonly<Record<string, string>>;
  readonly environments: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What has no counterpart, and what to do instead; one line each. */
  readonly notes: readonly string[];
}

/** Where the files are. */
export interface Places {
  /** The directory of the pm2 file, at which its paths start. */
  readonly from: string;
  /** The directory of the new configuration file. */
  readonly to: string;
}

/** The settings that an attribute becomes, or what to do instead, or neither. */
type Conversion = UserConfig | string | undefined;
type Convert = (value: unknown, paths: Paths, app: Pm2App) => Conversion;

/** Makes a path of the pm2 file relative to the new configuration file. */
interface Paths {
  /** For one that starts at `cwd` of the app. */
  ofApp(file: unknown): string;
  ofFile(file: unknown): string;
}

const always = 'mpserve always replaces a worker that exits, after a pause that grows if it keeps exiting';
const noCounterpart = 'it has no counterpart';
const nothing: Convert = () => undefined;
const milliseconds = (value: unknown): `${number}ms` => `${Number(value)}ms`;
const list = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.map(String) : String(value).split(/\s+/).filter(Boolean);

const attributes: Readonly<Record<string, Convert>> = {
  script: (value, paths) => ({ app: paths.ofApp(value) }),
  cwd: (value, paths) => ({ cwd: paths.ofFile(value) }),
  instances: (value) => {
    if (value === 'max' || Number(value) === 0) return { workers: 'auto' };
    const count = Number(value);
    if (count < 0) return `mpserve starts a worker for each processor; for ${-count} fewer, set workers to a number`;
    return { workers: count };
  },
  max_memory_restart: (value) => ({ maxMemory: value as `${number}M` }),
  kill_timeout: (value) => ({ gracefulTimeout: milliseconds(value) }),
  listen_timeout: (value) => ({ bootTimeout: milliseconds(value) }),
  node_args: (value) => ({ nodeArg: list(value) }),
  interpreter_args: (value) => ({ nodeArg: list(value) }),
  source_map_support: (value) => (value ? { nodeArg: ['--enable-source-maps'] } : undefined),
  watch: (value, paths, { cwd }) => {
    if (value === true) return { watch: cwd === undefined ? true : [paths.ofApp('.')] };
    return { watch: value === false ? value : [value].flat().map((one) => paths.ofApp(one)) };
  },
  out_file: (value, paths) => ({ logFile: paths.ofApp(value), captureOutput: true }),
  log_file: (value, paths) => ({ logFile: paths.ofApp(value), captureOutput: true }),
  error_file: (value, paths, { out_file, log_file }) => {
    const [errors, log] = [value, log_file ?? out_file].map((one) => one !== undefined && paths.ofApp(one));
    if (log === false) return { logFile: paths.ofApp(value), captureOutput: true };
    return errors === log ? undefined : `mpserve has one log, ${log}; the errors in it have the level 50`;
  },
  wait_ready: (value) => ({ waitReady: Boolean(value) }),
  shutdown_with_message: (value) => ({ shutdownMessage: Boolean(value) }),
  pid_file: (value, paths) => ({ pidFile: paths.ofApp(value) }),
  user: (value) => ({ user: String(value) }),
  uid: (value) => ({ user: String(value) }),
  gid: (value) => ({ group: String(value) }),
  exec_mode: (value) =>
    /^(fork|cluster)/.test(String(value)) ? undefined : 'mpserve runs the app in processes or threads: see model',
  cron_restart: (value) =>
    `put this line into your crontab: ${value} cd DIRECTORY && npx mpserve ctl reload --control CONTROL`,
  interpreter: (value) =>
    /(^|\/)node$/.test(String(value))
      ? undefined
      : 'mpserve runs the app with node; load a compiler with nodeArg, as in --import=tsx',
  args: () => 'mpserve passes no arguments to the app; use variables',
  autorestart: (value) => (value === false ? always : undefined),
  max_restarts: () => always,
  min_uptime: () => always,
  restart_delay: () => always,
  exp_backoff_restart_delay: () => always,
  stop_exit_codes: () => always,
  ignore_watch: (value) => {
    const others = [value].flat().filter((one) => !/(^|[/\\])(node_modules|\.git)\b/.test(String(one)));
    return others.length > 0 ? 'name the directories to watch with watch instead' : undefined;
  },
  increment_var: () => 'the workers share one port, and have the same variables',
  instance_var: () => 'the workers have the same variables',
  log_date_format: () => 'each line of the log has its time; npx pino-pretty prints it as you like',
  time: () => 'each line of the log has its time',
  // What mpserve does anyway, or what concerns pm2 itself.
  name: nothing,
  env: nothing,
  merge_logs: nothing,
  combine_logs: nothing,
  log_type: nothing,
  vizion: nothing,
  treekill: nothing,
  force: nothing,
  namespace: nothing,
  automation: nothing,
  pmx: nothing,
};

/** The other names that pm2 knows for an attribute. */
const aliases: Readonly<Record<string, string>> = {
  error: 'error_file',
  err_file: 'error_file',
  err: 'error_file',
  out: 'out_file',
  output: 'out_file',
  log: 'log_file',
  pid: 'pid_file',
  exec: 'script',
  nodeArgs: 'node_args',
  interpreterArgs: 'interpreter_args',
};

/** @param table to check the values */
export function convert(written: Pm2App, { from, to }: Places, table: OptionTable): Converted {
  const app = Object.fromEntries(Object.entries(written).map(([key, value]) => [aliases[key] ?? key, value]));
  const relative = (file: string): string => `./${path.relative(to, file)}`.replace(/^\.\/(\.\.\/)/, '$1');
  const cwd = path.resolve(from, String(app.cwd ?? '.'));
  const paths: Paths = {
    ofApp: (file) => relative(path.resolve(cwd, String(file))),
    ofFile: (file) => relative(path.resolve(from, String(file))),
  };
  const notes: string[] = [];
  const note = (key: string, value: unknown, text: string): void => {
    notes.push(`${key} ${inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY })}: ${text}`);
  };
  // A single process is what pm2 starts if the file does not say how many.
  const settings: Record<string, Written> = app.instances === undefined ? { workers: 1 } : {};
  for (const [key, value] of Object.entries(app)) {
    if (value === undefined || value === null || key.startsWith('env_')) continue;
    const conversion = attributes[key]?.(value, paths, app);
    if (typeof conversion === 'string') note(key, value, conversion);
    else if (!(key in attributes)) note(key, value, noCounterpart);
    else if (conversion) take(key, value, conversion);
  }
  return {
    settings,
    variables: variablesIn(app.env),
    environments: Object.fromEntries(
      Object.entries(app)
        .filter(([key]) => key.startsWith('env_'))
        .map(([key, value]) => [key.slice('env_'.length), variablesIn(value)]),
    ),
    notes,
  };

  function take(key: string, value: unknown, conversion: UserConfig): void {
    for (const [name, setting] of Object.entries(conversion) as [keyof UserConfig, Written][]) {
      const reading = table[name].kind.read(setting);
      if ('refused' in reading) note(key, value, `${name} must ${reading.refused}`);
      else settings[name] = [settings[name], setting].every(Array.isArray) ? both(settings[name], setting) : setting;
    }
  }
}

/** `node_args` and `source_map_support` become one setting. */
function both(...lists: readonly unknown[]): readonly string[] {
  return lists.flat() as string[];
}

function variablesIn(env: unknown): Readonly<Record<string, string>> {
  if (typeof env !== 'object' || env === null) return {};
  const set = Object.entries(env).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    set.map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
  );
}
