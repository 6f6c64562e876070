// The suite against hybrid with `--accept dispatch`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'hybrid', accept: 'dispatch' },
  args: ['--workers', '2', '--threads', '2'],
  pooled: true,
  tags: ['long'],
});
