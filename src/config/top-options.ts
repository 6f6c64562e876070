// The option of `top` besides the server's options. It exists on the command line only.
import { named } from './options.js';
import { duration } from './quantity.js';

export const topTable = named({
  interval: { kind: duration(250, 3_600_000), description: 'Time between two looks at the server', default: 1000 },
});
