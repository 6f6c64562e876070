// Preloaded (--require): adds the milliseconds in the file $CLOCK_SHIFT to the wall clock of this process, which is all of a
// jump that JavaScript sees. The timers of Node are on the monotonic clock.
const { readFileSync } = require('node:fs');

const RealDate = Date;
let shiftMs = 0;
setInterval(() => {
  shiftMs = Number(readFileSync(process.env.CLOCK_SHIFT, 'utf8'));
}, 50).unref();
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length > 0 ? args : [RealDate.now() + shiftMs]));
  }
  static now() {
    return RealDate.now() + shiftMs;
  }
};
