// The suite's own proof: plain `node:http` passes whatever Node itself can do.
import path from 'node:path';
import { conformance } from './suite.js';

const none = 'Node has nothing like it.';
conformance({
  tags: ['long'],
  start: { script: path.join(import.meta.dirname, 'reference.cjs') },
  gaps: {
    'request ids': none,
    'access log': none,
    'body limit': none,
    'failures answered': 'An app that throws ends plain Node.',
    'apps that exit': 'It has one process, which is the server.',
  },
});
