// The suite with --compress: for clients that ask for no compression nothing else changes.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prefork', accept: 'shared' },
  args: ['--workers', '2', '--compress', 'br,gzip'],
  pooled: true,
  tags: ['long'],
});
