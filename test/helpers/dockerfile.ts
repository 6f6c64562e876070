// Reads the few instructions of a Dockerfile that docs/deploy/docker/Dockerfile has, so that tests do what it says. Throws at
// any other: a test that overlooks an instruction would show nothing.
import assert from 'node:assert/strict';

export interface Stage {
  readonly name: string | undefined;
  /** In order: what makes its files. */
  readonly steps: readonly (
    | { readonly kind: 'COPY'; readonly from: string | undefined; readonly paths: readonly string[] }
    | { readonly kind: 'RUN'; readonly command: string }
  )[];
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly ports: readonly number[];
  readonly stopSignal: NodeJS.Signals;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly healthcheck: readonly string[];
}

/** The stages of the file; the last one is the image. */
export function parseDockerfile(text: string): readonly Stage[] {
  const stages: (Omit<Stage, 'steps'> & { steps: Stage['steps'][number][] })[] = [];
  for (const [, word, rest] of instructions(text)) {
    if (word === 'FROM') {
      const [, name] = / AS (\S+)$/.exec(rest) ?? [];
      stages.push({
        name,
        steps: [],
        workdir: '/',
        env: {},
        user: '0:0',
        ports: [],
        stopSignal: 'SIGTERM',
        entrypoint: [],
        cmd: [],
        healthcheck: [],
      });
      continue;
    }
    const stage = stages.at(-1);
    assert(stage, `${word} before FROM`);
    const next = read(word, rest);
    if ('kind' in next) stage.steps.push(next);
    else
      Object.assign(
        stage,
        next,
        next.env && { env: { ...stage.env, ...next.env } },
        next.ports && { ports: next.ports },
      );
  }
  return stages;
}

/** Lines without comments, those that end in a backslash joined. */
function instructions(text: string): readonly (readonly [string, string, string])[] {
  const lines = text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter(Boolean);
  return lines.map((line) => {
    const [all, word, rest] = /^([A-Z]+) (.+)$/.exec(line) ?? [];
    assert(all !== undefined && word !== undefined && rest !== undefined, `no instruction: ${line}`);
    return [all, word, rest];
  });
}

function read(word: string, rest: string): Partial<Stage> | Stage['steps'][number] {
  const words = rest.split(/\s+/);
  switch (word) {
    case 'COPY': {
      const [, from] = /^--from=(\S+)$/.exec(words[0] ?? '') ?? [];
      return { kind: 'COPY', from, paths: from === undefined ? words : words.slice(1) };
    }
    case 'RUN':
      return { kind: 'RUN', command: rest };
    case 'WORKDIR':
      return { workdir: rest };
    case 'ENV': {
      const [, name = '', value = ''] = /^(\w+)=(\S+)$/.exec(rest) ?? [];
      assert(name, `ENV ${rest}`);
      return { env: { [name]: value } };
    }
    case 'USER':
      return { user: rest };
    case 'EXPOSE':
      return { ports: words.map(Number) };
    case 'STOPSIGNAL':
      return { stopSignal: rest as NodeJS.Signals };
    case 'ENTRYPOINT':
      return { entrypoint: JSON.parse(rest) }; // throws unless it is the exec form
    case 'CMD':
      return { cmd: JSON.parse(rest) };
    case 'HEALTHCHECK':
      return { healthcheck: JSON.parse(rest.slice(rest.indexOf('CMD ') + 'CMD '.length)) };
    default:
      throw new Error(`the tests do not know ${word} of a Dockerfile`);
  }
}
