// Where each request is answered in a later turn of the event loop, what follows it on the connection is read before the
// answer: the end of the client's side, or bytes that are no request. Node would cut the answer then.
import { type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Connection } from './connection.js';

/**
 * A client that has ended its side is taken for gone if its answer has not begun by then, or nothing of it has been sent for
 * as long, as Node does at once (milliseconds).
 */
const halfClosedMs = 100;

/** The status for an error of Node's parser or of its timeouts, as Node answers it; 400 for others. */
const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** For a response behind which an error waits: answers the client with that. */
const waiting = new WeakMap<ServerResponse, () => void>();

/** The app has not answered as it was called: Node would have answered an error behind the request instead. */
export function noLongerAtOnce(res: ServerResponse): void {
  waiting.get(res)?.();
}

export class LateAnswers {
  /** The app answers clients that have ended their side, however long it takes (`httpAllowHalfOpen`). */
  isPatient = false;

  constructor(server: Server) {
    (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
    server.on('connection', (socket) => socket.once('end', () => this.#closeLater(socket)));
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      const response = Connection.of(socket)?.lastResponse;
      // An error within the request itself has no answer to wait for.
      if (!response?.req.complete) return refuse(error, socket);
      socket.pause();
      const answer = (): void => refuse(error, socket);
      waiting.set(response, answer);
      response.once('close', answer);
    });
  }

  #closeLater(socket: Socket): void {
    const connection = Connection.of(socket);
    if (!connection?.response || this.isPatient) return; // Node ends it
    let sent: number | undefined;
    const timer = setInterval(() => {
      const { response } = connection;
      const { bytesWritten, writableLength } = socket;
      const isStill = bytesWritten === sent && writableLength === 0;
      if (response && (isStill || !response.headersSent)) socket.destroy();
      sent = bytesWritten;
    }, halfClosedMs);
    socket.once('close', () => clearInterval(timer));
  }
}

/** As Node does without a listener. */
function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
  const { _httpMessage: message } = socket as Socket & { readonly _httpMessage?: { readonly _headerSent?: boolean } };
  if (socket.writable && !message?._headerSent) {
    const status = statuses[error.code ?? ''] ?? 400;
    socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\n\r\n`);
  }
  socket.destroy(error);
}
