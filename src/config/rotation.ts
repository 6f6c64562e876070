// The value of --log-rotate: a size, or how often.
import type { Kind } from './kind.js';
import { type Size, size } from './quantity.js';

const periods = ['daily', 'hourly'] as const;

export type Period = (typeof periods)[number];

/** When a log file is rotated: with more than this many bytes, or at the begin of each day or hour of the local time. */
export type Rotation = { readonly bytes: number } | { readonly every: Period };

/** Less would be a file for some hundred requests. */
const minBytes = 64 * 1024;

/** undefined, written `off`, is never. */
export function rotation(): Kind<Rotation | undefined, Size | Period | 'off' | false> {
  const sizes = size(minBytes, 1024 ** 4);
  return {
    metavar: 'SIZE|daily|hourly',
    range: `${sizes.range}, daily or hourly; or off`,
    read(raw) {
      if (raw === 'off' || raw === false) return { value: undefined };
      const every = periods.find((period) => period === raw);
      if (every) return { value: { every } };
      const reading = sizes.read(raw);
      return 'value' in reading
        ? { value: { bytes: reading.value } }
        : { refused: `be daily, hourly, or a size such as 100M, from ${sizes.range}` };
    },
    write: (value) => {
      if (value === undefined) return 'off';
      return 'every' in value ? value.every : sizes.write(value.bytes);
    },
  };
}
