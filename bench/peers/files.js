// What the web servers have to serve: files, as they run no app.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** The size of the one file that they answer `/bytes` with. */
export const fileBytes = 2 ** 20;

/** Writes the files for `/` and `/bytes` into `folder`/files. */
export async function writeFiles(folder) {
  const files = path.join(folder, 'files');
  await mkdir(files);
  await writeFile(path.join(files, 'hello.txt'), 'Hello, World!');
  await writeFile(path.join(files, 'bytes'), Buffer.alloc(fileBytes, 'mpserve\n'));
}
