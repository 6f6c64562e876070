// The manifests in docs/deploy/kubernetes are valid for Kubernetes' own schemas, have no field that it does not know, fit each
// other, and give mpserve options that exist; so do the files in docs/deploy/docker.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { readArguments } from '../../src/config/argv.ts';
import { loadConfig } from '../../src/config/load.ts';
import { listOptions, optionTable } from '../../src/config/options.ts';
import { definitions } from '../../src/metrics/definitions.ts';
import { models } from '../../src/strategies/models.ts';
import { parseDockerfile } from '../helpers/dockerfile.ts';

const root = path.join(import.meta.dirname, '../..');
const folder = path.join(root, 'docs/deploy');
const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
const table = optionTable(Object.values(models));
const options = listOptions(table);

// biome-ignore lint/suspicious/noExplicitAny: of any kind; the schemas know which
type Manifest = any;

/** The values of a chart are of no kind. */
const manifests: readonly Manifest[] = readdirSync(path.join(folder, 'kubernetes'))
  .filter((name) => name !== 'prometheus-adapter.yaml')
  .flatMap((name) => parseAllDocuments(read(`kubernetes/${name}`)).map((document) => document.toJS()));
const allOf = (kind: string): readonly Manifest[] => manifests.filter((one) => one.kind === kind);
const one = (kind: string): Manifest => structuredClone(allOf(kind)[0]);
const containerOf = (deployment: Manifest): Manifest => deployment.spec.template.spec.containers[0];

/** Where kubernetes-models has the kind: validators that are compiled from the schemas, and types that are made from them. */
function moduleOf({ apiVersion, kind }: Manifest): string {
  const name = apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  return `${name}/${apiVersion}/${kind}`;
}

/** What the schema of its kind says against it; '' if nothing. */
async function invalid(manifest: Manifest): Promise<string> {
  const { [manifest.kind]: Model } = await import(moduleOf(manifest));
  try {
    new Model(manifest).validate();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

let modules: string;
beforeAll(() => {
  modules = mkdtempSync(path.join(tmpdir(), 'mpserve-manifests-'));
  symlinkSync(path.join(root, 'node_modules'), path.join(modules, 'node_modules'));
  writeFileSync(path.join(modules, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(modules, { recursive: true }));

/** Fields that the schemas do not have: they allow any, as Kubernetes drops them. The compiler does not. */
function unknownFields(all: readonly Manifest[]): string {
  const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  const lines = all.flatMap((manifest, i) => [
    `import type { I${manifest.kind} as T${i} } from '${moduleOf(manifest)}';`,
    `export const m${i}: T${i} = ${JSON.stringify(manifest, undefined, 1)};`,
  ]);
  writeFileSync(path.join(modules, 'manifests.ts'), lines.join('\n'));
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--types', ''];
  return spawnSync(process.execPath, [tsc, ...flags, 'manifests.ts'], { cwd: modules, encoding: 'utf8' }).stdout;
}

/** What a server with these arguments, in this environment, would have. */
async function configOf(args: readonly string[], env: Readonly<Record<string, string>>) {
  const { values, words } = await readArguments(args, options, []);
  writeFileSync(path.join(modules, 'server.js'), '');
  const machine = { cores: 2, memory: 512 * 1024 ** 2 };
  const argv = { ...values, app: words[0] };
  const { config, warnings } = await loadConfig({
    table,
    models: Object.values(models),
    argv,
    env,
    cwd: modules,
    machine,
  });
  expect(warnings).toEqual([]);
  return config;
}

const [, image] = parseDockerfile(read('docker/Dockerfile'));
if (!image) throw new Error('no second stage');

describe('docs/deploy/kubernetes', () => {
  test.each(manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest]))(
    '%s is valid',
    async (_, manifest) => {
      expect(await invalid(manifest)).toBe('');
    },
  );

  test('a wrong value or a missing field is found', async () => {
    const wrong = one('Deployment');
    containerOf(wrong).readinessProbe.periodSeconds = 'often';
    expect(await invalid(wrong)).toMatch(/periodSeconds.*integer/);
    const missing = one('ServiceMonitor');
    delete missing.spec.selector;
    expect(await invalid(missing)).toMatch(/selector/);
  });

  test('there is no field that Kubernetes does not know, and one would be found', () => {
    const wrong = one('Deployment');
    containerOf(wrong).livenessProb = {};
    const found = unknownFields([...manifests, wrong])
      .split('\n')
      .filter((line) => line.startsWith('manifests.ts'));
    expect(found).toEqual([expect.stringContaining('"livenessProb"')]);
  });

  test('the arguments are options, and fit the ports, the probes and the time to stop', async () => {
    const deployment = one('Deployment');
    const { args, ports, ...container } = containerOf(deployment);
    const config = await configOf(args, image.env);
    const { stopDelay, gracefulTimeout } = config.lifecycle;
    const { terminationGracePeriodSeconds } = deployment.spec.template.spec;
    expect(terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(stopDelay + gracefulTimeout + 5000);
    const portOf = (name: string) => ports.find((port: Manifest) => port.name === name).containerPort;
    expect(config.listening.bind).toMatchObject([{ port: portOf('http') }]);
    expect(config.server.admin).toMatchObject({ port: portOf('admin') });
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
      expect(container[probe].httpGet).toMatchObject({
        port: 'admin',
        path: probe === 'livenessProbe' ? '/livez' : '/readyz',
      });
    // The kubelet notices before the server stops to serve.
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(stopDelay).toBeGreaterThan(periodSeconds * failureThreshold * 1000);
    // Workers that grow are replaced before memory runs out.
    const bytes = Number.parseInt(container.resources.limits.memory, 10) * 1024 ** 2;
    expect(config.pool.workers * config.recycle.maxMemory).toBeLessThan(bytes - 100 * 1024 ** 2);
    const mounts = container.volumeMounts.map(({ mountPath }: Manifest) => mountPath);
    expect(mounts).toContain(path.dirname(config.server.adminTokenFile ?? ''));
    expect(mounts).toContain(path.dirname(config.server.control ?? ''));
  });

  test('services, monitors and budgets select what there is', () => {
    const { matchLabels } = one('Deployment').spec.selector;
    const names = containerOf(one('Deployment')).ports.map(({ name }: Manifest) => name);
    expect(one('Deployment').spec.template.metadata.labels).toMatchObject(matchLabels);
    expect(one('PodDisruptionBudget').spec.selector.matchLabels).toEqual(matchLabels);
    for (const { spec } of allOf('Service')) {
      expect(spec.selector).toEqual(matchLabels);
      expect(names).toContain(spec.ports[0].targetPort);
    }
    const monitor = one('ServiceMonitor').spec;
    const monitored = allOf('Service').filter(({ metadata: { labels } }) =>
      Object.entries(monitor.selector.matchLabels).every(([key, value]) => labels[key] === value),
    );
    expect(monitored).toMatchObject([{ spec: { ports: [{ name: monitor.endpoints[0].port }] } }]);
  });

  test('the autoscaler asks for what the adapter makes of a metric that exists', () => {
    const [rule] = parse(read('kubernetes/prometheus-adapter.yaml')).rules.custom;
    const { metric } = one('HorizontalPodAutoscaler').spec.metrics[0].pods;
    expect(rule.name.as).toBe(metric.name);
    const [series] = rule.seriesQuery.split('{');
    expect(definitions.map(({ name }) => name)).toContain(series);
    expect(one('HorizontalPodAutoscaler').spec.scaleTargetRef.name).toBe(one('Deployment').metadata.name);
  });
});

describe('docs/deploy/docker', () => {
  test('the image has options that exist, a user that is not root, and a port on which the server listens', async () => {
    const config = await configOf(image.cmd, image.env);
    const known = options.map(({ env }) => env);
    for (const name of Object.keys(image.env)) if (name.startsWith('MPSERVE_')) expect(known).toContain(name);
    expect(image.user).toMatch(/^[1-9]\d*:0$/);
    expect(config.listening.bind).toMatchObject([{ port: image.ports[0] }]);
  });

  test('compose.yaml has options that exist, and leaves the time that a stop takes', async () => {
    const { app } = parse(read('docker/compose.yaml')).services;
    const { lifecycle, recycle, pool } = await configOf(app.command, image.env);
    expect(Number.parseInt(app.stop_grace_period, 10) * 1000).toBeGreaterThan(
      lifecycle.stopDelay + lifecycle.gracefulTimeout,
    );
    expect(pool.workers * recycle.maxMemory).toBeLessThan(412 * 1024 ** 2);
    expect(app.tmpfs).toContain(path.dirname(image.env.MPSERVE_CONTROL ?? ''));
  });
});
