// The options of `import`. They can be set on the command line only.
import { text } from './kind.js';
import { named } from './options.js';

export const importTable = named({
  name: {
    kind: text('NAME', /^[^\0]+$/, 'be the name of an app'),
    description: 'Import only the app of this name, as mpserve.config.mjs',
    defaultWords: 'all; several become a file each, mpserve.NAME.config.mjs',
  },
  env: {
    kind: text('NAME', /^\w+$/, 'be a name, as production for env_production'),
    description: 'Use the variables of env_NAME, too',
    defaultWords: 'only those of env',
  },
});
