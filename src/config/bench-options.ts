// The options that `bench` and `advise` take besides the server's. They are no settings of a server, so they stand in
// no configuration file and no variable.
import { commaList, count, file, type Kind, target, word } from './kind.js';
import type { CommandOption } from './options.js';
import { duration } from './quantity.js';

const second = 1000;

const method: Kind<string> = {
  metavar: 'METHOD',
  // RFC 9110, section 9.1: a token; in capitals, as all that are in use.
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
  return 'value' in reading ? reading : { refused: 'be whole numbers from 1 to 100000, with commas between them' };
});

interface Values {
  models: readonly string[];
  scenarios: readonly string[];
  connections: readonly number[];
  rounds: number;
  duration: number;
  rate: number;
  url: string;
  method: string;
  header: readonly (readonly [string, string])[];
  body: string;
  requests: string;
  json: string;
  html: string;
  compare: string;
  failIf: readonly string[];
}

export type BenchOptions = { readonly [K in keyof Values]: CommandOption<Values[K]> };

const rows: { readonly [K in keyof Values]: Omit<CommandOption<Values[K]>, 'key' | 'flag'> } = {
  models: { kind: commaList('MODEL,…', word), description: 'The models to compare', defaultWords: 'all' },
  scenarios: {
    kind: commaList('NAME,…', word),
    description:
      'hello, cpu, wait, mixed, stream and crash with the demo app; own, short and idle with any app (docs/bench.md)',
    defaultWords: 'all that the app can answer',
  },
  connections: {
    kind: connectionCounts,
    description: 'Connections at the same time, each number in turn',
    default: [1, 16, 64, 256],
  },
  rounds: { kind: count(1, 100), description: 'Rounds in which the models take turns', default: 3 },
  duration: { kind: duration(100, 3_600 * second), description: 'Time of each measurement', default: 5 * second },
  rate: {
    kind: count(1, 100_000),
    description: 'Send so many requests a second whatever has become of those before, and count delays in full',
    defaultWords: 'as many as are answered',
  },
  url: { kind: target, description: 'Ask for this path', defaultWords: '/' },
  method: { kind: method, description: 'Ask with this method', defaultWords: 'GET' },
  header: { kind: headers, description: 'Send this header; repeatable', defaultWords: 'none' },
  body: { kind: text, description: 'Send this body', defaultWords: 'none' },
  requests: {
    kind: file,
    description: 'Send the requests of this file in turn: a JSON list of {path, method, headers, body}',
    defaultWords: 'none',
  },
  json: { kind: file, description: 'Write the results to this file as JSON', defaultWords: 'off' },
  html: { kind: file, description: 'Write the results to this file as a page with charts', defaultWords: 'off' },
  compare: { kind: file, description: 'Compare with the results of an earlier --json', defaultWords: 'off' },
  failIf: {
    kind: texts,
    description: 'With --compare: exit 1 when this holds, as in p99>+10% or rps<-5%; repeatable',
    defaultWords: 'never',
  },
};

const table = Object.fromEntries(
  Object.entries(rows).map(([key, row]) => [
    key,
    { ...row, key, flag: key.replace(/[A-Z]/g, (x) => `-${x.toLowerCase()}`) },
  ]),
) as unknown as BenchOptions;

export const benchOptions: readonly CommandOption[] = Object.values(table) as CommandOption[];

/** `advise` chooses the scenario itself, and has enough in less time. */
export const adviseTable = {
  connections: {
    ...table.connections,
    kind: count(1, 100_000),
    description: 'Connections at the same time',
    default: 32,
  },
  url: table.url,
  method: table.method,
  header: table.header,
  body: table.body,
  requests: table.requests,
  rounds: table.rounds,
  duration: { ...table.duration, default: 1.5 * second },
  json: table.json,
};

export const adviseOptions: readonly CommandOption[] = Object.values(adviseTable) as CommandOption[];

export { table as benchTable };
