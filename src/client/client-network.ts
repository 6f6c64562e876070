// What counts as one client among IP addresses. An IPv6 network gets at least 2^64 addresses (RFC 4291, section 2.5.4), of
// which its owner can use a new one for each request.

/** `::ffff:192.0.2.1`: an IPv4 client of a socket that listens on both (RFC 4291, section 2.5.5.2). */
const mappedStart = '::ffff:';

/**
 * @param address an IP address in any spelling, or any other name
 * @returns the first four groups of an IPv6 address; an IPv4 address, also one in IPv6, and any other name, as it is
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address;
  if (address.startsWith(mappedStart) && address.includes('.')) return address.slice(mappedStart.length);
  const groups = groupsOf(address);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return [6, 7].flatMap((i) => [(groups[i] ?? 0) >> 8, (groups[i] ?? 0) & 0xff]).join('.');
  return groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':');
}

/** The eight groups of an IPv6 address (RFC 4291, section 2.2). */
function groupsOf(address: string): number[] {
  const [plain = ''] = address.split('%'); // the rest is a zone
  const [head = [], tail] = plain.split('::').map(parse);
  return tail ? [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail] : head;
}

function parse(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return Number.parseInt(group, 16);
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
