// `mpserve import FILE`: writes a configuration file, and a file of variables, for each app of a pm2 file. Never overwrites
// a file without --force.
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findApp } from '../config/app-path.js';
import { readConfigFile } from '../config/config-file.js';
import { importTable } from '../config/import-options.js';
import { oneOf } from '../config/kind.js';
import { didYouMean } from '../config/nearest.js';
import type { OptionTable } from '../config/options.js';
import { configError } from '../errors.js';
import { escapeControls } from '../log/escape.js';
import { convert, type Pm2App } from '../pm2/convert.js';
import { configText, envText } from '../pm2/files.js';
import type { Call } from './call.js';
import { readOptions } from './command-options.js';

interface Plan {
  readonly name: string;
  /** The first is the configuration. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly notes: readonly string[];
  readonly port: string | undefined;
}

/** Resolves to the exit code. @throws StartupError */
export async function runImport(call: Call): Promise<number> {
  const [file] = call.positionals;
  if (file === undefined) throw configError('missing file; use mpserve import ecosystem.config.js');
  const { name, env } = await readOptions(call, importTable);
  const apps = await readApps(file, name);
  const plans = apps.map(([appName, app]) => plan(file, appName, app, apps.length > 1, env, call.table));
  refuseShared(plans);
  refuseExisting(plans, call.switches.has('force'));
  for (const { path, text } of plans.flatMap(({ files }) => files)) {
    writeFileSync(path, text, { mode: path.endsWith('.env') ? 0o600 : 0o666 }); // variables may be secret
  }
  console.log(escapeControls(plans.map(report).join('\n\n'), '\n'));
  return 0;
}

/** The apps with their names, which differ. @param only the name of the one that is wanted */
async function readApps(file: string, only: string | undefined): Promise<readonly (readonly [string, Pm2App])[]> {
  const content = await readConfigFile(path.resolve(file), 'from the command line');
  const listed = content.apps ?? content;
  const apps = (Array.isArray(listed) ? listed : [listed]).filter(
    (app): app is Pm2App => typeof app === 'object' && app !== null && ('script' in app || 'exec' in app),
  );
  if (apps.length === 0) throw configError(`${file} has no apps: it must have a list \`apps\`, each with a \`script\``);
  const names = new Map<string, Pm2App>();
  for (const app of apps) {
    const given = String(app.name ?? path.parse(String(app.script ?? app.exec)).name);
    if (names.has(given)) throw configError(`${file} has two apps with the name '${given}'; rename one of them`);
    names.set(given, app);
  }
  if (only === undefined) return [...names];
  const chosen = names.get(only);
  if (chosen) return [[only, chosen]];
  const known = [...names.keys()];
  throw configError(`--name must be ${oneOf(known)}, not '${only}'${await didYouMean(only, known)}`);
}

/** What is written for an app. @param isOne of several */
function plan(
  file: string,
  name: string,
  app: Pm2App,
  isOne: boolean,
  environment: string | undefined,
  table: OptionTable,
): Plan {
  const cwd = process.cwd();
  const places = { from: path.dirname(path.resolve(file)), to: cwd };
  const { settings, variables, environments, notes } = convert(app, places, table);
  if (environment !== undefined && environments[environment] === undefined) {
    const known = Object.keys(environments);
    const hint = known.length > 0 ? `use ${oneOf(known)}` : 'leave --env out';
    throw configError(`the app '${name}' has no env_${environment}; ${hint}`);
  }
  if (findApp(String(settings.app), cwd) === undefined) {
    const wanted = 'mpserve runs a file, not a command, so name the file that it runs';
    throw configError(
      `the script of the app '${name}' does not exist: ${path.resolve(cwd, String(settings.app))}; ${wanted}`,
    );
  }
  const stem = isOne ? `mpserve.${name.replace(/[^\p{L}\p{M}\p{N}_.-]+/gu, '-')}` : 'mpserve';
  const envFiles = [
    ['', variables] as const,
    ...Object.entries(environments).map(([key, values]) => [key, values] as const),
  ]
    .filter(([key, values]) => key !== '' || Object.keys(values).length > 0)
    .map(([key, values]) => ({ key, path: `${stem}${key && `.${key}`}.env`, ...envText(values) }));
  const used = envFiles.filter(({ key }) => key === '' || key === environment).map((one) => `./${one.path}`);
  const allNotes = [
    ...notes.map((note) => note.replace('DIRECTORY', cwd).replace('CONTROL', `${stem}.ctl`)),
    ...envFiles.flatMap(({ unwritable }) =>
      unwritable.map((one) => `the variable ${one}: an env file cannot hold its value, which has all three quotes`),
    ),
    ...envFiles
      .filter(({ key }) => key !== '' && key !== environment)
      .map(({ key, path }) => `env_${key}: is in ${path}; add it to envFile, or start with --env-file ./${path}`),
  ];
  const all = {
    ...settings,
    control: `./${stem}.ctl`,
    ...(used.length > 0 && { envFile: used }),
  };
  return {
    name,
    files: [
      { path: `${stem}.config.mjs`, text: configText(path.relative(cwd, path.resolve(file)), all, allNotes) },
      ...envFiles.map(({ path, text }) => ({ path, text })),
    ],
    notes: allNotes,
    port: { ...variables, ...(environment === undefined ? {} : environments[environment]) }.PORT,
  };
}

/** @throws StartupError if two apps would be written to the same file */
function refuseShared(plans: readonly Plan[]): void {
  const owners = new Map<string, string>();
  for (const { name, files } of plans) {
    for (const { path } of files) {
      const owner = owners.get(path);
      if (owner !== undefined)
        throw configError(`the apps '${owner}' and '${name}' would both be written to ${path}; rename one of them`);
      owners.set(path, name);
    }
  }
}

/** @throws StartupError, before anything is written */
function refuseExisting(plans: readonly Plan[], isForced: boolean): void {
  const files = plans.flatMap(({ files }) => files.map((file) => file.path));
  const existing = files.filter((file) => existsSync(file));
  if (existing.length > 0 && !isForced)
    throw configError(`${oneOf(existing, 'and')} would be overwritten; add --force, or move what is there`);
  const others = ['js', 'cjs', 'json']
    .map((extension) => `mpserve.config.${extension}`)
    .filter((one) => existsSync(one));
  if (files.includes('mpserve.config.mjs') && others.length > 0)
    throw configError(`there is already a configuration file here: ${oneOf(others, 'and')}; move it away first`);
}

function report({ name, files, notes, port }: Plan): string {
  const [config] = files;
  const isFound = config?.path === 'mpserve.config.mjs';
  return [
    `${name}: wrote ${oneOf(
      files.map((file) => file.path),
      'and',
    )}`,
    `  start it: npx mpserve${isFound ? '' : ` --config ${config?.path}`}`,
    port === undefined
      ? '  it listens on 127.0.0.1:8080, whatever port the app names; set port and host in the file'
      : `  it listens on 127.0.0.1:${port}; set host in the file for clients of other machines`,
    ...(notes.length > 0 ? ['  without a counterpart:', ...notes.map((note) => `    ${note}`)] : []),
  ].join('\n');
}
