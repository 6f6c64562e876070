// The command line as a command receives it.
import type { CommandLine } from '../config/help.js';
import type { ControlLocation, Loaded, Overrides } from '../config/load.js';
import type { OptionTable } from '../config/options.js';

export interface Call {
  /** After the name of the command; no more than it takes. */
  readonly positionals: readonly string[];
  /** The flags without a value. */
  readonly switches: ReadonlySet<string>;
  /** The given values of the command's own options and of the server's, by key, not yet parsed. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly table: OptionTable;
  readonly line: CommandLine;
  /** Reads the configuration; the first positional is the app. @param operator settings changed since the start */
  load(operator?: Overrides): Promise<Loaded>;
  /** Reads where the control socket is, and no other setting. */
  locateControl(): Promise<ControlLocation>;
}
