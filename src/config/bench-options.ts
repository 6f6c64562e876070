// The options of `bench` and `advise` besides the server's options. They exist on the command line only, not in the
// configuration file or the environment.
import { commaList, count, file, type Kind, target, word } from './kind.js';
import { named } from './options.js';
import { duration } from './quantity.js';

const second = 1000;

const method: Kind<string> = {
  metavar: 'METHOD',
  // RFC 9110, section 9.1 allows any token; all registered methods are in capitals.
  read: (raw) =>
    /^[A-Z]+$/.test(String(raw)) ? { value: String(raw) } : { refused: 'be a method such as GET or POST' },
  write: (value) => value,
};

/** RFC 9110, section 5: a field name is a token, a value has no control characters. */
const header = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const headers: Kind<readonly (readonly [string, string])[]> = {
  metavar: 'NAME:VALUE',
  repeatable: true,
  read(raw) {
    const value: [string, string][] = [];
    for (const text of [raw].flat().map(String)) {
      const [, key, content] = header.exec(text) ?? [];
      if (key === undefined) return { refused: "be a header such as 'accept: text/html'", offender: text };
      value.push([key.toLowerCase(), content ?? '']);
    }
    return { value };
  },
  write: (value) => value.map(([key, content]) => `${key}: ${content}`),
};

const text: Kind<string> = { metavar: 'TEXT', read: (raw) => ({ value: String(raw) }), write: (value) => value };
const texts: Kind<readonly string[]> = {
  metavar: 'CONDITION',
  repeatable: true,
  read: (raw) => ({ value: [raw].flat().map(String) }),
  write: (value) => value,
};

const connectionCounts = commaList('N,N,…', (text) => {
  const reading = count(1, 100_000).read(text);
  return 'value' in reading ? reading : { refused: 'be whole numbers from 1 to 100000, separated by commas' };
});

export const benchTable = named({
  models: { kind: commaList('MODEL,…', word), description: 'The models to compare', defaultWords: 'all' },
  scenarios: {
    kind: commaList('NAME,…', word),
    description:
      'hello, cpu, wait, mixed, stream and crash with the demo app; own, short and idle with any app (docs/bench.md)',
    defaultWords: 'all that the app supports',
  },
  connections: {
    kind: connectionCounts,
    description: 'Numbers of concurrent connections to measure with',
    default: [1, 16, 64, 256],
  },
  rounds: {
    kind: count(1, 100),
    description: 'Measurements of each model; in each round the models run one after another',
    default: 3,
  },
  duration: { kind: duration(100, 3_600 * second), description: 'Duration of each measurement', default: 5 * second },
  rate: {
    kind: count(1, 100_000),
    description:
      'Open loop: send this many requests per second, whether or not earlier ones have completed, and measure latency from the scheduled time',
    defaultWords: 'closed loop',
  },
  url: { kind: target, description: 'Path and query of the request', defaultWords: '/' },
  method: { kind: method, description: 'Method of the request', defaultWords: 'GET' },
  header: { kind: headers, description: 'Header of the request; repeatable', defaultWords: 'none' },
  body: { kind: text, description: 'Body of the request', defaultWords: 'none' },
  requests: {
    kind: file,
    description: 'Send the requests of this file in rotation: a JSON array of {path, method, headers, body}',
    defaultWords: 'none',
  },
  json: { kind: file, description: 'Write the results to this file as JSON', defaultWords: 'off' },
  html: { kind: file, description: 'Write the results to this file as an HTML page with charts', defaultWords: 'off' },
  compare: {
    kind: file,
    description: 'Compare with the results that an earlier run wrote with --json',
    defaultWords: 'off',
  },
  failIf: {
    kind: texts,
    description: 'With --compare: exit 1 if this condition holds, such as p99>+10% or rps<-5%; repeatable',
    defaultWords: 'never',
  },
});

/** `advise` always runs the scenario `own`, and shorter. */
export const adviseTable = {
  connections: {
    ...benchTable.connections,
    kind: count(1, 100_000),
    description: 'Concurrent connections',
    default: 32,
  },
  url: benchTable.url,
  method: benchTable.method,
  header: benchTable.header,
  body: benchTable.body,
  requests: benchTable.requests,
  rounds: benchTable.rounds,
  duration: { ...benchTable.duration, default: 1.5 * second },
  json: benchTable.json,
};
