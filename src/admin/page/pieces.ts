// Reads the body of a response as it comes, in pieces that end with a separator.

/** What comes after the last separator is left out. @param onBytes called for each part that comes */
export async function* pieces(
  body: ReadableStream<Uint8Array>,
  separator: string,
  onBytes = (): void => {},
): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    const parts = (rest + value).split(separator);
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
