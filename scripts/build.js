// Builds `dist/`: tsc for every module and its types, then the roots once more, those that run inside workers and the
// command line: each as one CommonJS file with all that it loads at its start, and files beside it for what is loaded
// when it is needed. Every file costs its loader a third of a millisecond at each start
// (docs/decisions/0002-bundled-worker-entries.md has the figures).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'rolldown';
import { fillCaches } from './fill-caches.js';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
/** Each server loads pino, which has thirty files; each that serves files the others. */
const bundled = ['pino', 'mrmime', 'negotiator'];
const loadedAsTheyAre = Object.keys(dependencies).filter((name) => !bundled.includes(name));
const isLoadedAsItIs = (id) => loadedAsTheyAre.some((name) => id === name || id.startsWith(`${name}/`));

/** In the stack of an error the functions and classes have their names. */
const keepNames = { function: true, class: true };

// Built aside and put in place at the end: a server that runs from here starts its workers from a whole `dist/`.
const fresh = mkdtempSync(path.join(root, '.dist-'));
try {
  execFileSync(process.execPath, [tsc, '-p', root, '--outDir', fresh], { stdio: 'inherit' });
  await describeKeys(path.join(fresh, 'config/user-config.d.ts'));
  // At its own place: what a module finds by that, it must find from there, too.
  const bundle = (name, groups = []) => ({
    cwd: fresh,
    input: { [path.basename(name)]: path.join(fresh, `${name}.js`) },
    platform: 'node',
    external: isLoadedAsItIs,
    preserveEntrySignatures: 'allow-extension',
    transform: { target: 'node20.19' },
    output: {
      dir: path.join(fresh, path.dirname(name)),
      format: 'cjs',
      exports: 'named',
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name]-[hash].cjs',
      minify: { codegen: { removeWhitespace: true }, compress: { keepNames }, mangle: { toplevel: false, keepNames } },
      codeSplitting: { groups },
    },
  });
  // The first what all commands need; then a file for each of these, less what those before it load.
  const commands = ['main', 'ctl', 'serve'].map((name, i, { length }) => ({
    name,
    test: (id) => id === path.join(fresh, `cli/${name}.js`),
    priority: length - i,
  }));
  const workers = ['worker/process-main', 'worker/thread-main'];
  await build([...[...workers, 'prove/fault-hook'].map((name) => bundle(name)), bundle('cli/main', commands)]);
  for (const dir of ['cli', 'worker']) prepareCode(path.join(fresh, dir));
  for (const root of [...workers, 'cli/main']) putLoader(root);
  // What the page of a comparison is made from: not compiled, but shipped.
  for (const file of ['browser.js', 'style.css'])
    copyFileSync(path.join(root, 'src/bench/page', file), path.join(fresh, 'bench/page', file));
  await buildDashboard();
  chmodSync(fresh, 0o755); // for whoever runs it, not only for who built it
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  renameSync(fresh, path.join(root, 'dist'));
  await fillCaches();
} catch (error) {
  // tsc has printed why.
  if (error.status === undefined) console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

/** The page of the admin server: one script and one style sheet, with uPlot and its licence in each. */
async function buildDashboard() {
  const from = path.join(root, 'src/admin/page');
  const to = path.join(fresh, 'admin/page');
  const uplot = path.dirname(require.resolve('uplot/package.json'));
  const licence = `/*! With uPlot.\n\n${readFileSync(path.join(uplot, 'LICENSE'), 'utf8').trim()}\n*/\n`;
  mkdirSync(to, { recursive: true });
  await build({
    input: path.join(from, 'dashboard.ts'),
    platform: 'browser',
    resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
    tsconfig: path.join(from, 'tsconfig.json'),
    transform: { target: 'es2022' },
    output: { file: path.join(to, 'dashboard.js'), format: 'esm', minify: true, postBanner: licence },
  });
  const styles = ['base', 'state', 'tree', 'curves', 'details', 'narrow'].map((name) => `style/${name}.css`);
  const files = [path.join(uplot, 'dist/uPlot.min.css'), ...styles.map((name) => path.join(from, name))];
  writeFileSync(path.join(to, 'dashboard.css'), licence + files.map((file) => readFileSync(file, 'utf8')).join('\n'));
  copyFileSync(path.join(from, 'index.html'), path.join(to, 'index.html'));
}

/** For the loader. */
function prepareCode(dir) {
  for (const name of readdirSync(dir).filter((name) => name.endsWith('.cjs'))) {
    const file = path.join(dir, name);
    writeFileSync(file, inAscii(withImporter(readFileSync(file, 'utf8'))));
  }
}

/** Puts the loader at the place of a root. The file that it loads is named by its contents, and so is what V8 keeps of it. */
function putLoader(root) {
  const place = path.join(fresh, `${root}.cjs`);
  const dir = path.dirname(place);
  const hash = createHash('sha256').update(readFileSync(place)).digest('hex').slice(0, 8);
  const code = `${path.basename(root)}-${hash}.cjs`;
  renameSync(place, path.join(dir, code));
  writeFileSync(place, readFileSync(path.join(fresh, 'loader.cjs'), 'utf8').replace("'ROOT'", JSON.stringify(code)));
}

/** What imports a module when it runs has the loader do it. Minified code has no such import with a string in quotes. */
function withImporter(text) {
  return text.replace(/(?<![\w.$'"`{])import\((?!['"])/g, '$import(');
}

/** Only strings, templates and regular expressions have other characters. */
function inAscii(text) {
  return text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Adds the descriptions of the options to the type of configuration files, for editors. */
async function describeKeys(file) {
  const load = (name) => import(pathToFileURL(path.join(fresh, name)).href);
  const { configOptions, defaultWords, optionTable } = await load('config/options.js');
  const { models } = await load('strategies/models.js');
  const keys = configOptions(optionTable(Object.values(models))).map((option) => {
    const words = defaultWords(option);
    const base = option.kind.rebase ? ' Relative to the configuration file.' : '';
    return `    /** ${option.description}.${base}${words && ` Default: ${words}.`} */
    readonly ${option.key}?: ValueOf<'${option.key}'> | undefined;\n`;
  });
  const text = readFileSync(file, 'utf8');
  const described = text.replace(/(type UserConfig = \{\n)[^}]*(\};)/, (_, start, end) => start + keys.join('') + end);
  if (described === text) throw new Error(`found no type of configuration files in ${file}`);
  writeFileSync(file, described);
}
