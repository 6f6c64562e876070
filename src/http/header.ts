// Header fields: their names, as they are compared, and their values.

/** Compares the length first, because this runs for each header of each request and response. @param wanted in lower case */
export function isHeader(name: string, wanted: string): boolean {
  return name.length === wanted.length && name.toLowerCase() === wanted;
}

/**
 * The value of a header. Not from `headers` of the request: Node builds that object on first access.
 * @param rawHeaders names and values in turn
 * @param wanted in lower case
 * @returns the first one; undefined without any
 */
export function headerOf(rawHeaders: readonly string[], wanted: string): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (isHeader(rawHeaders[i] as string, wanted)) return rawHeaders[i + 1];
  return undefined;
}
