// What `next start` runs.
process.argv.splice(2, Number.POSITIVE_INFINITY, 'start');
require('next/dist/bin/next');
