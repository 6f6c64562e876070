// The image that docs/deploy/docker/Dockerfile describes, run as it and the manifests in docs/deploy/kubernetes say, in
// namespaces with limits by cgroups: no container engine is needed, but root is.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Container, type ContainerOptions, canContain, startContainer } from '../helpers/container.ts';
import { eventually, within } from '../helpers/eventually.ts';
import { buildImage, type Image } from '../helpers/image.ts';
import { fixture, root } from '../helpers/server.ts';
import { connect, type Wire } from '../helpers/wire.ts';

const mebi = 1024 ** 2;
const token = 'a-token-of-the-tests';
/** As OpenShift gives it to a container. */
const arbitraryUser = '1000660000:0';

let image: Image;
const start = (options: Partial<ContainerOptions> = {}) => startContainer({ image, memory: 512 * mebi, ...options });

describe.skipIf(!canContain)('the image', () => {
  beforeAll(() => {
    image = buildImage(fixture('contained.cjs'));
  });
  afterAll(() => image?.[Symbol.dispose]());

  test.concurrent('runs as process 1 and as any user on a read-only root', { tags: 'long' }, async () => {
    await using container = await start({ user: arbitraryUser });
    using wire = await connect(container.url(8080));
    expect((await wire.ask('GET /')).body).toMatch(/^1000660000:0 \d+$/);
    expect((await wire.ask('GET /write')).body).toBe('EROFS');
    expect(container.server.ready.pid).toBe(1);
    const { code, output } = await container.exec(image.config.healthcheck);
    expect(output).toMatch(/^state +serving$/m);
    expect(code).toBe(0);
    container.signal('SIGHUP');
    await container.server.waitFor('the reload', ({ event }) => event === 'reloaded');
  });

  test.concurrent('process 1 reaps what the app leaves behind, and takes no exit of a worker', {
    tags: 'long',
  }, async () => {
    await using container = await start({ args: ['server.js', '--workers=2', '--probation=0'] });
    using wire = await connect(container.url(8080));
    await eventually('a zombie', async () => {
      expect((await wire.ask('GET /orphan')).body).toBe('left');
      return container.zombies().length > 0;
    });
    // Workers die while orphans wait: each has to be replaced, so its exit was seen.
    for (let round = 0; round < 5; round++) {
      using other = await connect(container.url(8080));
      await other.ask('GET /orphan');
      const deaths = container.server.lines.filter(({ event }) => event === 'worker-died').length;
      const [worker] = container.workers();
      process.kill(worker ?? 0, 'SIGKILL');
      await container.server.waitForMany('a death', ({ event }) => event === 'worker-died', deaths + 1);
    }
    await eventually('no zombies', () => container.zombies().length === 0);
    await eventually('both workers', async () =>
      /2 worker\(s\), all ready/.test((await container.exec(image.config.healthcheck)).output),
    );
  });

  test.concurrent('a signal ends process 1 also before the server is there', { tags: 'long' }, async () => {
    await using container = new Container({
      image,
      args: ['server.js', '--config', '/etc/endless.mjs'],
      files: {
        'etc/endless.mjs': `console.log('{"event":"loading"}'); await new Promise((end) => setTimeout(end, 1e6));`,
      },
    });
    await container.server.waitFor('the configuration', ({ event }) => event === 'loading');
    container.signal();
    expect(await within('process 1 to end', container.server.exit)).toMatchObject({ code: 143 });
  });

  test.concurrent('process 1 refuses to become a daemon', { tags: 'long' }, async () => {
    await using container = new Container({ image, args: ['server.js', '--daemon'] }); // which ends by itself
    expect(await within('process 1 to end', container.server.exit)).toMatchObject({ code: 2 });
    expect(container.server.stderr).toMatch(/^mpserve: --daemon .*container.*remove it$/m);
  });

  test.concurrent('with the arguments of the Deployment a stop loses no request', { tags: 'long' }, async () => {
    const [deployment] = [parse(readFileSync(path.join(root, 'docs/deploy/kubernetes/deployment.yaml'), 'utf8'))];
    const { args } = deployment.spec.template.spec.containers[0];
    const short = args.map((arg: string) => arg.replace(/^(--stop-delay=).*/, '$11s'));
    await using container = await start({ args: short, ports: [8080, 9090], files: { 'etc/mpserve/token': token } });
    const [app, admin] = [container.url(8080), container.url(9090)];
    const readyz = async () => {
      using wire = await connect(admin);
      return (await wire.ask('GET /readyz')).status;
    };
    expect(await readyz()).toBe(200);
    using kept = await connect(app);
    await kept.ask('GET /');
    container.signal();
    await eventually('/readyz to say that it stops', async () => (await readyz()) === 503);
    // A load balancer that has not noticed sends more, on connections that there are and on new ones.
    using late = await connect(app);
    const answers = await Promise.all([kept.ask('GET /slow'), late.ask('GET /slow')]);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, 'slow'],
      [200, 'slow'],
    ]);
    expect(await within('process 1 to end', container.server.exit)).toMatchObject({ code: 0 });
    expect(container.server.lines.filter(({ event }) => event === 'request-cut' || event === 'request-lost')).toEqual(
      [],
    );
  });

  test.concurrent('when memory runs out the kernel ends the worker that takes it, and no other', {
    tags: 'long',
  }, async () => {
    await using container = await start({ memory: 320 * mebi, args: ['server.js', '--workers=2'] });
    const [growing, other] = await onBothWorkers(container.url(8080));
    using _ = growing.wire;
    using kept = other.wire;
    await growing.wire.request('GET /grow');
    const died = await container.server.waitFor('a death', ({ event }) => event === 'worker-died');
    expect(died).toMatchObject({
      pid: Number(growing.pid),
      reason: expect.stringContaining(
        'SIGKILL, probably by the kernel for lack of memory; the limit of the container is 320 MiB',
      ),
    });
    expect((await kept.ask('GET /')).body).toBe(`1000:0 ${other.pid}`);
    await eventually('another worker', async () =>
      /2 worker\(s\), all ready/.test((await container.exec(image.config.healthcheck)).output),
    );
    expect(container.server.lines.filter(({ event }) => event === 'worker-died')).toHaveLength(1);
  });

  // A single processor cannot become two.
  test.skipIf(availableParallelism() < 2)(
    'the number of workers follows the limits of the container, and no request is lost',
    {
      tags: 'long',
    },
    async () => {
      await using container = await start({ cores: 1 });
      expect(container.server.ready.workers).toBe(1);
      // Never idle for as long as a kept-alive connection lasts; it migrates when its worker goes.
      using wire = await connect(container.url(8080));
      let isOver = false;
      const asking = (async () => {
        while (!isOver) expect((await wire.ask('GET /')).status).toBe(200);
      })();
      asking.catch(() => {}); // awaited below
      container.setLimits({ cores: 2, memory: 600 * mebi });
      await container.server.waitFor('a second worker', ({ event, to }) => event === 'scaled' && to === 2);
      expect(container.server.lines.find(({ event }) => event === 'limits-changed')).toMatchObject({
        fromCores: 1,
        fromMemory: 512 * mebi,
        cores: 2,
        memory: 600 * mebi,
        needsReload: false,
      });
      container.setLimits({ cores: 1 });
      await container.server.waitFor('one worker', ({ event, to }) => event === 'scaled' && to === 1);
      isOver = true;
      await asking;
      expect(container.server.lines.filter(({ event }) => event === 'worker-died')).toEqual([]);
    },
  );
});

/** A connection to each of two workers, and what the app calls their process. */
async function onBothWorkers(url: string): Promise<readonly [OnWorker, OnWorker]> {
  const found = new Map<string, Wire>();
  await eventually('a connection to each worker', async () => {
    const wire = await connect(url);
    const { body } = await wire.ask('GET /');
    const [, pid = ''] = body.split(' ');
    if (found.has(pid)) wire.close();
    else found.set(pid, wire);
    return found.size === 2;
  });
  const [one, two] = [...found].map(([pid, wire]) => ({ pid, wire }));
  if (!one || !two) throw new Error('no two workers');
  return [one, two];
}

interface OnWorker {
  readonly pid: string;
  readonly wire: Wire;
}
