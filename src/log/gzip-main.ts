// A process of the lowest priority that compresses standard input to standard output, and exits: a rotated log file, for
// which neither the supervisor nor a worker waits. It ends with the supervisor, which has the other end of descriptor 3.
import { createReadStream, createWriteStream } from 'node:fs';
import { Socket } from 'node:net';
import { constants, setPriority } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const chunkBytes = 1024 * 1024;

setPriority(constants.priority.PRIORITY_LOW);
new Socket({ fd: 3 })
  .on('close', () => process.exit(1))
  .on('error', () => {})
  .resume()
  .unref();
try {
  await pipeline(
    createReadStream('', { fd: 0, highWaterMark: chunkBytes }),
    createGzip(),
    createWriteStream('', { fd: 1, flush: true } as object),
  );
} catch (error) {
  process.stderr.write((error as Error).message);
  process.exitCode = 1;
}
