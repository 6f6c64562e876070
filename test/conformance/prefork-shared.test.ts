// The suite against prefork with `--accept shared`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prefork', accept: 'shared' },
  args: ['--workers', '2'],
  pooled: true,
});
