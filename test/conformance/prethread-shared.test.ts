// The suite against prethread with `--accept shared`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prethread', accept: 'shared' },
  args: ['--threads', '2'],
  pooled: true,
});
