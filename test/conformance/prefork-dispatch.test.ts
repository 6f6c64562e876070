// The suite against prefork with `--accept dispatch`.
import { conformance } from './suite.js';

conformance({
  start: { model: 'prefork', accept: 'dispatch' },
  args: ['--workers', '2'],
  pooled: true,
  tags: ['long'],
});
