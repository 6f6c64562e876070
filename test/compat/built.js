// The frameworks that have a build step: it runs once, and every model serves its output.
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import path from 'node:path';
import { json, page, post } from './client.js';

const next = {
  shares: 'next',
  packages: ['next@16', 'react@19', 'react-dom@19'],
  app: 'next',
  build: buildNext,
  check: checkSite('/api/echo'),
};

/** @type {import('./rows.js').Row[]} */
export const builtRows = [
  {
    ...next,
    name: 'next-standalone',
    title: 'Next.js, standalone',
    tried: '`.next/standalone/server.js`: a page rendered on the server, its scripts, a route handler',
    serves: '.next/standalone/server.js',
  },
  {
    ...next,
    name: 'next-start',
    title: 'Next.js, `next start`',
    tried: 'the same, by a file that runs `next start`',
    serves: 'next-start.cjs',
  },
  {
    name: 'nuxt',
    title: 'Nuxt (Nitro)',
    tried: '`.output/server/index.mjs`: a page rendered on the server, its scripts, an API route',
    packages: ['nuxt@4'],
    app: 'nuxt',
    build: (_folder, run) => run('npx', 'nuxt', 'build'),
    serves: '.output/server/index.mjs',
    check: checkSite('/api/echo'),
  },
  {
    name: 'sveltekit',
    title: 'SvelteKit, adapter-node',
    tried: '`build/index.js`: a page rendered on the server, its scripts, an API route',
    packages: ['@sveltejs/kit@2', '@sveltejs/adapter-node@5', '@sveltejs/vite-plugin-svelte', 'svelte@5', 'vite'],
    app: 'sveltekit',
    build: (_folder, run) => run('npx', 'vite', 'build'),
    serves: 'build/index.js',
    check: checkSite('/api'),
  },
  {
    name: 'react-router',
    title: 'React Router',
    tried: '`@react-router/express`: a page rendered on the server, its scripts, an action',
    // All of one version: each wants exactly that of the others.
    packages: [
      'react-router@7.18.4',
      '@react-router/dev@7.18.4',
      '@react-router/node@7.18.4',
      '@react-router/express@7.18.4',
      'express@5',
      'isbot@5',
      'react@19',
      'react-dom@19',
      'vite@7',
    ],
    app: 'react-router',
    build: (_folder, run) => run('npx', 'react-router', 'build'),
    serves: 'server.mjs',
    check: checkSite('/api'),
  },
];

function buildNext(folder, run) {
  run('npx', 'next', 'build');
  cpSync(path.join(folder, '.next/static'), path.join(folder, '.next/standalone/.next/static'), { recursive: true });
}

/** A page that greets, one of its scripts, and a route that answers with the JSON that it gets. */
function checkSite(echo) {
  return async (origin) => {
    const { status, text } = await page(`${origin}/?name=you`);
    assert.equal(status, 200);
    assert.match(text, /<h1[^>]*>hello (<!-- -->)?you/);
    const [, script] = /(?:src|href)="([^"]+\.m?js)"/.exec(text) ?? /import\("([^"]+\.js)"\)/.exec(text);
    const loaded = await page(new URL(script, `${origin}/`));
    assert.deepEqual([loaded.status, loaded.text.length > 0], [200, true]);
    // The origin, because SvelteKit and React Router refuse forms from elsewhere.
    const sent = post({ a: 1 });
    assert.deepEqual(await json(origin + echo, { ...sent, headers: { ...sent.headers, origin } }), { a: 1 });
  };
}
