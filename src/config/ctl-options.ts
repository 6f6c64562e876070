// The options of `ctl profile` and `ctl heap` themselves. They can be set on the command line only.
import { count, file } from './kind.js';
import { named } from './options.js';

export const dumpTable = named({
  seconds: { kind: count(1, 60), description: 'With profile: for how long', default: 5 },
  output: {
    kind: { ...file, metavar: 'FILE|-' },
    description: 'With profile, heap: write to this new file, readable only for you; - is standard output',
    defaultWords: 'mpserve-WORKER-TIME.cpuprofile or .heapsnapshot in this directory',
  },
});
