// The user nobody, for tests of workers that run as another user.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './server.ts';

export const nobody = { uid: 65_534, gid: 65_534 };
const bin = path.join(root, 'bin/mpserve.js');
/** Only root can run workers as another user, and the user nobody must be able to read this checkout. */
export const canUseNobody =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', `require('node:fs').accessSync(${JSON.stringify(bin)})`], nobody).status === 0;
