// The value of --rate-limit. What the command line prints for a wrong one is in test/cli/bad-input.test.ts.
import { expect, test } from 'vitest';
import { rateLimit } from '../../src/config/rate-limit.ts';

test.each([
  ['100/s:burst=20 by ip', { count: 100, unit: 's', burst: 20, header: undefined }],
  ['100/s', { count: 100, unit: 's', burst: 100, header: undefined }],
  ['6000/m by header:X-Api-Key', { count: 6000, unit: 'm', burst: 100, header: 'x-api-key' }],
  [' 1/m:burst=10 ', { count: 1, unit: 'm', burst: 10, header: undefined }],
  ['59/m', { count: 59, unit: 'm', burst: 1, header: undefined }],
  ['1/d', { count: 1, unit: 'd', burst: 1, header: undefined }],
  ['1/d:burst=365   by   ip', { count: 1, unit: 'd', burst: 365, header: undefined }],
  ['1000000/s', { count: 1_000_000, unit: 's', burst: 1_000_000, header: undefined }],
  ['off', undefined],
  [false, undefined],
])('%j', (raw, value) => {
  expect(rateLimit.read(raw)).toEqual({ value });
  // Written and read again it is the same.
  expect(rateLimit.read(rateLimit.write(value as never))).toEqual({ value });
});

test.each([
  ['', /be a rate such as/],
  [100, /be a rate such as/],
  [true, /be a rate such as/],
  ['100/s by', /be a rate such as/],
  ['100/s burst=20', /be a rate such as/],
  ['100/s by ip by ip', /be a rate such as/],
  ['100', /have a unit/],
  ['100/', /have a unit/],
  ['100/x', /have a unit/],
  ['100/sec', /have a unit/],
  ['100/toString', /have a unit/],
  ['0/s', /allow 1 to 1000000 requests/],
  ['-1/s', /allow 1 to 1000000 requests/],
  ['0.5/s', /allow 1 to 1000000 requests/],
  ['1e3/s', /allow 1 to 1000000 requests/],
  ['1000001/s', /allow 1 to 1000000 requests/],
  ['9999999999999999999999/s', /allow 1 to 1000000 requests/],
  ['100/s:burst=0', /have a burst of 1 to 1000000 requests/],
  ['100/s:burst=', /have a burst of 1 to 1000000 requests/],
  ['100/s:burst=many', /have a burst of 1 to 1000000 requests/],
  ['100/s by cookie', /end in 'by ip' or 'by header:NAME'/],
  ['100/s by header', /end in 'by ip' or 'by header:NAME'/],
  ['100/s by header:', /name a header/],
  ['100/s by header:x:y', /name a header/],
  ['100/s by header:"x"', /name a header/],
  ['1/d:burst=366', /within 365 days/],
])('refuses %j', (raw, refused) => {
  const reading = rateLimit.read(raw);
  expect('refused' in reading && reading.refused).toMatch(refused);
});
