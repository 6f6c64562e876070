// The suite against a thread for every connection.
import { conformance } from './suite.js';

conformance({
  start: { model: 'tpc' },
});
