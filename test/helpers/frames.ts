// Frames of WebSocket, as bytes (RFC 6455, section 5.2).

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export type Opcode = keyof typeof opcodes;

/** A frame of a server. */
export function frame(opcode: Opcode, payload: Buffer, isFinal = true): Buffer {
  return Buffer.concat([header(opcode, payload.length, isFinal, 0), payload]);
}

/** A frame of a client, with a mask that changes nothing. */
export function masked(opcode: Opcode, payload: Buffer): Buffer {
  return Buffer.concat([header(opcode, payload.length, true, 0x80), Buffer.alloc(4), payload]);
}

/** The payload of a Close frame. */
export function closeCode(code: number): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return payload;
}

function header(opcode: Opcode, length: number, isFinal: boolean, maskBit: number): Buffer {
  const first = (isFinal ? 0x80 : 0) | opcodes[opcode];
  if (length < 126) return Buffer.from([first, maskBit | length]);
  const isLong = length > 0xffff;
  const bytes = Buffer.alloc(isLong ? 10 : 4);
  bytes[0] = first;
  bytes[1] = maskBit | (isLong ? 127 : 126);
  if (isLong) bytes.writeBigUInt64BE(BigInt(length), 2);
  else bytes.writeUInt16BE(length, 2);
  return bytes;
}
