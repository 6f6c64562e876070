// The type of the user's configuration file, `mpserve.config.*`, from the table in `options.ts`.
import type { Kind, Written } from './kind.js';
import type { OptionTable } from './options.js';

export type { Duration, Size } from './quantity.js';

type WrittenAs<O> = O extends { readonly kind: Kind<infer _, infer W extends Written> } ? W : never;

export type UserConfig = {
  readonly [K in Exclude<keyof OptionTable, 'config'>]?: WrittenAs<OptionTable[K]> | undefined;
};

/** The default export of `mpserve.config.*`. */
export type UserConfigExport = UserConfig | (() => UserConfig | Promise<UserConfig>);

/** Returns its argument. It gives the editor the type of the configuration, for completion and checks. */
export function defineConfig<const T extends UserConfigExport>(config: T): T {
  return config;
}
