// The suite against prethread with `--accept dispatch`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prethread', accept: 'dispatch' },
  args: ['--threads', '2'],
  pooled: true,
  tags: ['long'],
});
