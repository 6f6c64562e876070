// What a configuration file may import from `mpserve`. The server itself is the command of that name.
export {
  type Duration,
  defineConfig,
  type Size,
  type UserConfig,
  type UserConfigExport,
} from './config/user-config.js';
