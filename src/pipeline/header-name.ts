// Names of header fields, as they are compared.

/** Compares the length first, because this runs for each header of each request and response. @param wanted in lower case */
export function isHeader(name: string, wanted: string): boolean {
  return name.length === wanted.length && name.toLowerCase() === wanted;
}
