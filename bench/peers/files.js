// The static files for the peers that run no app.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** The size of the file for `/bytes`. */
export const fileBytes = 2 ** 20;

/** Writes the files for `/` and `/bytes` into `folder`/files. */
export async function writeFiles(folder) {
  const files = path.join(folder, 'files');
  await mkdir(files);
  await writeFile(path.join(files, 'hello.txt'), 'Hello, World!');
  await writeFile(path.join(files, 'bytes'), Buffer.alloc(fileBytes, 'mpserve\n'));
}
