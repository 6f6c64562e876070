// --compress: compresses what the app writes, for clients that accept it. Behind the cache, which keeps what is compressed, and
// in front of all that is about the app. Loaded only if it is on.

import { acceptedOf } from '../http/coding.js';
import type { Coding } from '../http/coding-name.js';
import { isHeader } from '../http/header.js';
import { compressibleHead, notModifiedHead } from './coded-head.js';
import { Compressing } from './compressing.js';
import { maxCompressors } from './compressors.js';
import type { HeadFilter } from './response.js';
import type { Stage } from './stage.js';

/** For clients that accept no coding: caches are told that others may get another response. */
const varying: HeadFilter = {
  filter(res, headers) {
    if (res.statusCode === 304) return notModifiedHead(res, headers);
    compressibleHead(res, headers);
    return headers;
  },
};

/** @param codings at least one, those that are preferred first */
export function compressResponses(codings: readonly Coding[]): Stage {
  const acceptedBy = acceptedOf(codings);
  const room = { left: maxCompressors };
  return (next) => (req, res, reqId) => {
    // A client of HTTP/1.0 could not tell a whole body of unknown length from one that was cut.
    const is11 = req.httpVersionMajor > 1 || req.httpVersionMinor > 0;
    const coding = is11 ? acceptedBy(acceptEncoding(req.rawHeaders))[0] : undefined;
    res.headFilter = coding === undefined ? varying : new Compressing(res, coding, room);
    return next(req, res, reqId);
  };
}

/** Node builds `headers` on first access, which takes longer. */
function acceptEncoding(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!isHeader(rawHeaders[i] as string, 'accept-encoding')) continue;
    found = found === undefined ? rawHeaders[i + 1] : `${found}, ${rawHeaders[i + 1]}`;
  }
  return found;
}
