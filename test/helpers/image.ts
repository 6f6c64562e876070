// Makes the files of the image that docs/deploy/docker/Dockerfile describes, by its own COPY and RUN instructions, from a
// project whose dependency is the packed mpserve of this tree. In place of its base image a container has the /usr of this machine.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseDockerfile, type Stage } from './dockerfile.ts';
import { root } from './server.ts';

const docker = path.join(root, 'docs/deploy/docker');
/** Vitest does not have it in its environment, as servers would read it at their start. */
const certificates = '/etc/ssl/certs/ca-certificates.crt';

export interface Image extends Disposable {
  /** The root of its own files. */
  readonly folder: string;
  readonly config: Stage;
}

/** @param app the file that becomes `server.js` */
export function buildImage(app: string): Image {
  const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-image-'));
  const context = path.join(folder, 'context');
  mkdirSync(context);
  writeProject(context, app);
  const stages = parseDockerfile(readFileSync(path.join(docker, 'Dockerfile'), 'utf8'));
  const ignored = readFileSync(path.join(docker, '.dockerignore'), 'utf8').split('\n');
  for (const [i, stage] of stages.entries()) {
    const files = path.join(folder, stage.name ?? String(i));
    const workdir = path.join(files, stage.workdir);
    mkdirSync(workdir, { recursive: true });
    for (const step of stage.steps) {
      if (step.kind === 'RUN') {
        assert.match(step.command, /^npm [\w =-]+$/, 'it is run on this machine');
        run(`${step.command} --prefer-offline --no-audit --no-fund`, workdir);
        continue;
      }
      const from = step.from === undefined ? context : path.join(folder, step.from);
      const to = step.paths.at(-1) ?? '';
      for (const one of step.paths.slice(0, -1)) {
        const source = path.join(from, one);
        const isFile = one !== '.' && step.from === undefined;
        const target = path.resolve(workdir, to.startsWith('/') ? `.${path.relative(stage.workdir, to)}` : to);
        const filter = (file: string) => step.from !== undefined || !ignored.includes(path.basename(file));
        cpSync(source, isFile ? path.join(target, one) : target, { recursive: true, filter, verbatimSymlinks: true });
      }
    }
  }
  const config = stages.at(-1);
  assert(config);
  return {
    folder: path.join(folder, config.name ?? String(stages.length - 1)),
    config,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

/** What a user has: the app, and a lock file that says which versions npm ci installs: those of this tree. */
function writeProject(folder: string, app: string): void {
  // Beside the project, as if it came from the registry.
  const packed = run(`npm pack --ignore-scripts --json --pack-destination ${path.dirname(folder)}`, root);
  const tarball = path.join(path.dirname(folder), JSON.parse(packed)[0].filename);
  cpSync(app, path.join(folder, 'server.js'));
  const dependencies = { mpserve: `file:${tarball}` };
  const project = { name: 'app', version: '1.0.0', private: true, dependencies };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(project));
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const { devDependencies: _, ...mpserve } = lock.packages[''];
  const packages = {
    '': project,
    'node_modules/mpserve': { ...mpserve, resolved: `file:${tarball}` },
    ...Object.fromEntries(Object.entries(lock.packages).filter(([name, one]) => name && !(one as { dev?: true }).dev)),
  };
  writeFileSync(path.join(folder, 'package-lock.json'), JSON.stringify({ ...lock, ...project, packages }));
}

function run(command: string, cwd: string): string {
  const env = { ...process.env, ...(existsSync(certificates) && { NODE_EXTRA_CA_CERTS: certificates }) };
  return execFileSync('sh', ['-c', command], { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
