// A server of an app that can be changed, with a control socket: what a deployment is to an operator.
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Answer, ask } from './control.ts';
import { runCli, type Server, startServer } from './server.ts';

/** Code that blocks the event loop and takes no processor from other tests (milliseconds). */
export const blockFor = (ms: number): string => `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${ms});`;

/** An app that answers each request with `text`. */
export const answering = (text: string): string => `module.exports = (_req, res) => res.end(${JSON.stringify(text)});`;

export class Site implements AsyncDisposable {
  private constructor(
    readonly server: Server,
    readonly folder: string,
    readonly control: string,
    /** Its configuration file. */
    readonly settings: string,
    private readonly releases: Releases,
  ) {}

  /**
   * @param args PID and SOCKET in them stand for paths in its folder
   * @param code of the first release
   * @param bind as a server of tests has it
   * @param install what runs instead of `bin/mpserve.js`, put into the folder
   */
  static async start(
    model: string,
    args: readonly string[] = [],
    config: object = {},
    env: NodeJS.ProcessEnv = {},
    install?: (folder: string) => string,
    code = answering('first'),
    bind?: readonly string[],
  ): Promise<Site> {
    const folder = mkdtempSync(path.join(tmpdir(), 'mpserve-site-'));
    const releases = new Releases(folder);
    releases.write(code);
    const control = path.join(folder, 'ctl');
    const settings = path.join(folder, 'settings.json');
    writeFileSync(settings, settingsWith(config));
    const app = path.join(folder, 'current/app.cjs');
    const own = args.map((word) =>
      word.replace('PID', path.join(folder, 'pid')).replace('SOCKET', path.join(folder, 'app')),
    );
    const server = await startServer({
      app,
      model,
      args: ['--config', settings, '--control', control, ...own],
      ...(bind && { bind }),
      env,
      ...(install && { script: install(folder) }),
    });
    return new Site(server, folder, control, settings, releases);
  }

  /** Makes `config` its configuration at the next reload. */
  configure(config: object): void {
    writeFileSync(this.settings, settingsWith(config));
  }

  /** Makes another release of the app the current one. */
  write(code: string): void {
    this.releases.write(code);
  }

  /** Changes the release that is the current one, which ppc and tpc load for each connection. */
  replaceRelease(code: string): void {
    writeFileSync(path.join(this.folder, 'current/app.cjs'), code);
  }

  get pidFile(): string {
    return path.join(this.folder, 'pid');
  }

  /** What `ctl` asks, without a process for it. */
  ask(method: string, target: string, body?: string): Promise<Answer> {
    return ask(this.control, method, target, body);
  }

  ctl(...words: string[]): ReturnType<typeof runCli> {
    return runCli(['ctl', ...words, '--control', this.control]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.server.stop();
    } finally {
      await this.remove();
    }
  }

  /** Ends what is left of it. */
  async remove(): Promise<void> {
    await this.server.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// New workers are on probation for a short time, so that the tests take one. What lingers at a drain is closed soon; what is under way, or idles while a test does other things, has all the time
// that it needs.
const settingsWith = (config: object): string =>
  JSON.stringify({
    gracefulTimeout: '30s',
    keepAliveTimeout: '10m',
    drainQuiet: '300ms',
    probation: '100ms',
    ...config,
  });

/** As deployments do it: a link names the current one. */
class Releases {
  private count = 0;

  constructor(private readonly folder: string) {}

  write(code: string): void {
    const release = path.join(this.folder, String(++this.count));
    mkdirSync(release);
    writeFileSync(path.join(release, 'app.cjs'), code);
    symlinkSync(release, path.join(this.folder, 'next'));
    renameSync(path.join(this.folder, 'next'), path.join(this.folder, 'current'));
  }
}
