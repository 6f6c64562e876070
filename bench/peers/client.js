// A client with one keep-alive connection. It never retries: if the connection closes before a response is complete, the
// request has failed, and the client sends the next one over a new connection.
import { connect } from 'node:net';
import { parseResponse } from './response.js';

const request = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
const expectedBody = 'Hello, World!';
/** After the server has refused a connection. */
const reconnectDelayMs = 10;

export class Client {
  #port;
  #thinkMs;
  #tally;
  #socket;
  #text = '';
  #timer;
  /** Since when the client has waited for a successful response. Failed requests do not change it. */
  #waitingSince;
  #isWaiting = false;
  #onStopped;
  #onResponse;

  /** @param {{ port: number, thinkMs: number, tally: import('./tally.js').Tally, onResponse: () => void }} options */
  constructor({ port, thinkMs, tally, onResponse }) {
    this.#port = port;
    this.#thinkMs = thinkMs;
    this.#tally = tally;
    this.#onResponse = onResponse;
  }

  get isWaiting() {
    return this.#isWaiting;
  }

  send() {
    this.#isWaiting = true;
    this.#waitingSince ??= performance.now();
    this.#text = '';
    this.#tally.sent();
    this.#socket ??= this.#open();
    this.#socket.write(request);
  }

  /** Sends no more requests. Resolves when the last one has completed or, after `ms`, counts as failed. */
  async stop(ms) {
    clearTimeout(this.#timer);
    if (this.#isWaiting) {
      const stopped = new Promise((resolve) => {
        this.#onStopped = resolve;
      });
      this.#timer = setTimeout(() => this.#fail('timeout'), ms);
      await stopped;
      clearTimeout(this.#timer);
    }
    this.#close();
  }

  #open() {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.#read(text));
    socket.on('end', () => this.#onClose('closed'));
    socket.on('error', ({ code }) => this.#onClose(code));
    socket.on('close', () => this.#onClose('closed'));
    return socket;
  }

  #read(text) {
    this.#text += text;
    if (!this.#isWaiting) return this.#onClose('bytes without a request');
    let response;
    try {
      response = parseResponse(this.#text);
    } catch (error) {
      return this.#fail(error.message);
    }
    if (response === undefined) return;
    if (response.closes) this.#tally.closeAnnounced();
    if (response.status !== 200) return this.#fail(`status ${response.status}`);
    if (response.body !== expectedBody) return this.#fail('unexpected body');
    if (response.closes) this.#close();
    this.#tally.completed(this.#waitingSince);
    this.#waitingSince = undefined;
    this.#onResponse();
    this.#next(this.#thinkMs);
  }

  #onClose(reason) {
    if (this.#isWaiting) {
      this.#fail(this.#text === '' ? reason : `${reason} within a response`);
    } else {
      this.#tally.closedIdle();
      this.#close(); // the next request opens a new connection
    }
  }

  #fail(reason) {
    this.#close();
    this.#tally.failed(reason);
    this.#next(reason === 'ECONNREFUSED' ? Math.max(reconnectDelayMs, this.#thinkMs) : this.#thinkMs);
  }

  #next(ms) {
    this.#isWaiting = false;
    if (this.#onStopped) {
      if (this.#waitingSince !== undefined) this.#tally.gaveUp(this.#waitingSince);
      this.#onStopped();
    } else if (ms > 0) {
      this.#timer = setTimeout(() => this.send(), ms);
    } else {
      this.send();
    }
  }

  /** Closes the connection and ignores its further events. */
  #close() {
    this.#socket?.removeAllListeners();
    this.#socket?.on('error', () => {}); // a pending write may fail
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}
