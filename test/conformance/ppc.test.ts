// The suite against a process for every connection.
import { conformance } from './suite.js';

conformance({
  start: { model: 'ppc' },
});
