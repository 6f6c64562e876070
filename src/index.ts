// The public API of the package: what a configuration file may import. The server itself is the command `mpserve`.
export {
  type Duration,
  defineConfig,
  type Size,
  type UserConfig,
  type UserConfigExport,
} from './config/user-config.js';
