// The public API of the package: what a configuration file and a program may import.
export { serve } from './api/serve.js';
export {
  type FailureKind,
  type ServeOptions,
  type Server,
  ServerError,
  type Status,
  type Suspect,
  type WorkerStatus,
} from './api/server.js';
export {
  type Duration,
  defineConfig,
  type Size,
  type UserConfig,
  type UserConfigExport,
} from './config/user-config.js';
