// What a client gets of a compressed response.
import { once } from 'node:events';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import zlib from 'node:zlib';

export interface Decoded {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: Buffer;
  /** Bytes of the body as they were sent. */
  readonly sent: number;
}

/** Rejects if the connection is cut before the response is whole, or the body is not what its coding says. */
export async function fetchDecoded(url: string, headers: OutgoingHttpHeaders = {}, method = 'GET'): Promise<Decoded> {
  const asked = request(url, { method, headers, agent: false });
  asked.end();
  const [response] = await once(asked, 'response');
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const { statusCode: status, headers: got, trailers } = response;
  return { status, headers: got, trailers, body: decoded(bytes, got['content-encoding']), sent: bytes.length };
}

export function decoded(bytes: Buffer, coding: string | undefined): Buffer {
  if (bytes.length === 0) return bytes;
  if (coding === 'gzip') return zlib.gunzipSync(bytes);
  if (coding === 'br') return zlib.brotliDecompressSync(bytes);
  if (coding === 'zstd')
    return (zlib as unknown as { zstdDecompressSync(from: Buffer): Buffer }).zstdDecompressSync(bytes);
  return bytes;
}
