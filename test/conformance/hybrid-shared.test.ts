// The suite against hybrid with `--accept shared`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'hybrid', accept: 'shared' },
  args: ['--workers', '2', '--threads', '2'],
  pooled: true,
  tags: ['long'],
});
