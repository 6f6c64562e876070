// What a child process of the app inherits: what it would inherit from plain Node, and nothing of mpserve.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import { eventually } from '../helpers/eventually.ts';
import { testPlacements } from '../helpers/placements.ts';
import { fixture, startServer } from '../helpers/server.ts';
import { connect } from '../helpers/wire.ts';

const app = fixture('grandchild.cjs');

let folder: string;
/** As JSON. */
let inheritedFromNode: string;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'mpserve-inherited-'));
  const script = `require(${JSON.stringify(app)}).list((fds) => console.log(JSON.stringify(fds)))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  inheritedFromNode = stdout.trim();
});
afterAll(() => rmSync(folder, { recursive: true }));

testPlacements('a child process of the app inherits no descriptor of mpserve', async (placement) => {
  const file = (kind: string): string => path.join(folder, `${placement.name.replace(' ', '-')}.${kind}`);
  const args = ['--control', file('ctl'), '--access-log', file('access')];
  await using server = await startServer({ ...placement, app, args: [...(placement.args ?? []), ...args] });
  using kept = await connect(server.url);
  for (let i = 0; i < 3; i++) {
    using other = await connect(server.url);
    // Another thread of the process may be about to set close-on-exec; what stays open is a leak.
    for (const wire of [kept, other])
      await eventually('a child without a descriptor of mpserve', async () => {
        return String((await wire.ask('GET /')).body) === inheritedFromNode;
      });
  }
});
