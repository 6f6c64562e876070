// The options of `bench` and `advise` besides the server's options. They exist on the command line only, not in the
// configuration file or the environment.
import { commaList, count, file, list, target, text, word } from './kind.js';
import { named } from './options.js';
import { duration } from './quantity.js';

const second = 1000;

/** RFC 9110, section 9.1 allows any token; all registered methods are in capitals. */
const method = text('METHOD', /^[A-Z]+$/, 'be a method such as GET or POST');

/** RFC 9110, section 5: a field name is a token, a value has no control characters. */
const header = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const headers = list<readonly [name: string, value: string]>(
  'NAME:VALUE',
  (item) => {
    const [, name, value = ''] = header.exec(String(item)) ?? [];
    return name === undefined
      ? { refused: "be a header such as 'accept: text/html'" }
      : { value: [name.toLowerCase(), value] };
  },
  ([name, value]) => `${name}: ${value}`,
);

const conditions = list('CONDITION', (item) => ({ value: String(item) }), String);

const connectionCounts = commaList('N,N,…', (text) => {
  const reading = count(1, 100_000).read(text);
  return 'value' in reading ? reading : { refused: 'be whole numbers from 1 to 100000, separated by commas' };
});

export const benchTable = named({
  models: {
    kind: commaList('MODEL,…', word),
    description: 'The models to compare; with /request, as in prethread/request, with --unit request',
    defaultWords: 'all',
  },
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
  body: { kind: text('TEXT', /^/, ''), description: 'Body of the request', defaultWords: 'none' },
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
    kind: conditions,
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
  rounds: {
    ...benchTable.rounds,
    description: 'Measurements of each model, and up to four times as many while the models cannot be told apart',
  },
  duration: { ...benchTable.duration, default: 1.5 * second },
  json: benchTable.json,
};
