// A hash of text: FNV-1a, with the last step of MurmurHash3, so that each bit of the text changes half of the bits. For
// placing and finding, not for secrets: it is easy to find texts with the same hash.

/** @param seed another one makes another hash. @returns 32 bits */
export function hash(text: string, seed = 0): number {
  let bits = 0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1);
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
