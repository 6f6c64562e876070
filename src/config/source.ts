// The source of a configured value, and its wording in messages.

export type Source =
  /** `flag` is `--workers`, or `app` for the positional argument. */
  | { readonly kind: 'argv'; readonly flag: string }
  | { readonly kind: 'env'; readonly name: string }
  /** Set in the running server by a command of `mpserve ctl`. */
  | { readonly kind: 'operator'; readonly command: 'switch' | 'balance'; readonly flag: string }
  | { readonly kind: 'file'; readonly path: string; readonly key: string }
  /** Of one of `routes`, which are from `of`. */
  | { readonly kind: 'route'; readonly match: string; readonly key: string; readonly of: Source }
  /** The default of the model, or a value that the model fixes. */
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'default' };

type Wording = { readonly [K in Source['kind']]: (source: Extract<Source, { kind: K }>) => string };

const origins: Wording = {
  argv: ({ flag }) => (flag.startsWith('-') ? `from ${flag}` : 'from the command line'),
  env: ({ name }) => `from ${name}`,
  operator: ({ command, flag }) => `from mpserve ctl ${command}${command === 'switch' ? ` ${flag}` : ''}`,
  file: ({ path }) => `in ${path}`,
  route: ({ of }) => origin(of),
  model: ({ model }) => `by the model ${model}`,
  default: () => 'by default',
};

const settings: Wording = {
  argv: ({ flag }) => (flag.startsWith('-') ? flag : `the ${flag} on the command line`),
  env: ({ name }) => name,
  operator: ({ command, flag }) => (command === 'switch' ? `${flag} of mpserve ctl switch` : `mpserve ctl ${command}`),
  file: ({ path, key }) => `${key} in ${path}`,
  route: ({ match, key, of }) => `${key} of the route ${match} of ${setting(of)}`,
  model: origins.model,
  default: origins.default,
};

/** Follows a value in a message: `from --workers`, `from MPSERVE_WORKERS`, `in /srv/mpserve.config.json`. */
export function origin(source: Source): string {
  return (origins[source.kind] as (source: Source) => string)(source);
}

/**
 * Names the setting that the user has to change: `--workers`, `MPSERVE_WORKERS`, `workers in /srv/mpserve.config.json`.
 */
export function setting(source: Source): string {
  return (settings[source.kind] as (source: Source) => string)(source);
}
