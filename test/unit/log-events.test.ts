// docs/logs.md documents every event.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { wording } from '../../src/events.ts';

const page = readFileSync(path.join(import.meta.dirname, '../../docs/logs.md'), 'utf8');

test.each(Object.keys(wording))('%s', (event) => {
  expect(page).toMatch(new RegExp(`^\\|[^|]*\\x60${event}\\x60`, 'm'));
});
