// Where a value came from, and how a message says so.

export type Source =
  /** `flag` is `--workers`, or `app` for the argument that has no flag. */
  | { readonly kind: 'argv'; readonly flag: string }
  | { readonly kind: 'env'; readonly name: string }
  /** Told to the running server. */
  | { readonly kind: 'operator'; readonly flag: string }
  | { readonly kind: 'file'; readonly path: string; readonly key: string }
  /** The model has its own default, or leaves no choice. */
  | { readonly kind: 'model'; readonly model: string }
  | { readonly kind: 'default' };

type Words = { readonly [K in Source['kind']]: (source: Extract<Source, { kind: K }>) => string };

const origins: Words = {
  argv: ({ flag }) => (flag.startsWith('-') ? `from ${flag}` : 'from the command line'),
  env: ({ name }) => `from ${name}`,
  operator: ({ flag }) => `from mpserve ctl switch ${flag}`,
  file: ({ path }) => `in ${path}`,
  model: ({ model }) => `by the model ${model}`,
  default: () => 'by default',
};

const settings: Words = {
  argv: ({ flag }) => (flag.startsWith('-') ? flag : `the ${flag} on the command line`),
  env: ({ name }) => name,
  operator: ({ flag }) => `${flag} of mpserve ctl switch`,
  file: ({ path, key }) => `${key} in ${path}`,
  model: origins.model,
  default: origins.default,
};

/** After a value: `from --workers`, `from MPSERVE_WORKERS`, `in /srv/mpserve.config.json`. */
export function origin(source: Source): string {
  return (origins[source.kind] as (source: Source) => string)(source);
}

/** What a user has to change: `--workers`, `MPSERVE_WORKERS`, `workers in /srv/mpserve.config.json`. */
export function setting(source: Source): string {
  return (settings[source.kind] as (source: Source) => string)(source);
}
