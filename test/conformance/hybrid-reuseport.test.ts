// The suite against hybrid with `--accept reuseport`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'hybrid', accept: 'reuseport' },
  args: ['--workers', '2', '--threads', '2'],
  pooled: true,
  tags: ['long'],
});
