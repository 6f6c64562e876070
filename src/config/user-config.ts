// The type of the user's configuration file, `mpserve.config.*`, inferred from the table in `options.ts`.
import type { Kind, Written } from './kind.js';
import type { ConfigKey, OptionTable } from './options.js';

export type { Duration, Size } from './quantity.js';

type ValueOf<K extends ConfigKey> = OptionTable[K] extends { readonly kind: Kind<infer _, infer W extends Written> }
  ? W
  : never;

/** In the package, the build has added the description of each key (scripts/build.js). */
export type UserConfig = { readonly [K in ConfigKey]?: ValueOf<K> | undefined };

/** The default export of `mpserve.config.*`. */
export type UserConfigExport = UserConfig | (() => UserConfig | Promise<UserConfig>);

/** Returns its argument. It gives the editor the type of the configuration, for completion and checks. */
export function defineConfig<const T extends UserConfigExport>(config: T): T {
  return config;
}
