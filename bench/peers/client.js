// A client with one kept-alive connection. It never sends a request twice: if the connection ends before the answer is
// complete, that request is lost, and the next one goes over a new connection.
import { connect } from 'node:net';
import { readAnswer } from './response.js';

const request = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n';
const expected = 'Hello, World!';
/** Before it knocks again where nobody has opened. */
const knockMs = 10;

export class Talker {
  #port;
  #thinkMs;
  #tally;
  #socket;
  #text = '';
  #timer;
  /** When it began to want the answer that it waits for. Requests that are lost meanwhile do not change that. */
  #due;
  #isWaiting = false;
  #onEnd;
  #onAnswer;

  /** @param {{ port: number, thinkMs: number, tally: import('./tally.js').Tally, onAnswer: () => void }} options */
  constructor({ port, thinkMs, tally, onAnswer }) {
    this.#port = port;
    this.#thinkMs = thinkMs;
    this.#tally = tally;
    this.#onAnswer = onAnswer;
  }

  get isWaiting() {
    return this.#isWaiting;
  }

  ask() {
    this.#isWaiting = true;
    this.#due ??= performance.now();
    this.#text = '';
    this.#tally.asked();
    this.#socket ??= this.#open();
    this.#socket.write(request);
  }

  /** Asks no more. Settles when the last answer is here, and counts it as lost after `ms`. */
  async end(ms) {
    clearTimeout(this.#timer);
    if (this.#isWaiting) {
      const ended = new Promise((resolve) => {
        this.#onEnd = resolve;
      });
      this.#timer = setTimeout(() => this.#lose('no answer'), ms);
      await ended;
      clearTimeout(this.#timer);
    }
    this.#leave();
  }

  #open() {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    socket.setEncoding('latin1');
    socket.on('data', (text) => this.#read(text));
    socket.on('end', () => this.#gone('closed'));
    socket.on('error', ({ code }) => this.#gone(code));
    socket.on('close', () => this.#gone('closed'));
    return socket;
  }

  #read(text) {
    this.#text += text;
    if (!this.#isWaiting) return this.#gone('bytes that nobody asked for');
    let answer;
    try {
      answer = readAnswer(this.#text);
    } catch (error) {
      return this.#lose(error.message);
    }
    if (answer === undefined) return;
    if (answer.closes) this.#tally.announced();
    if (answer.status !== 200) return this.#lose(`status ${answer.status}`);
    if (answer.body !== expected) return this.#lose('another body');
    if (answer.closes) this.#leave();
    this.#tally.answered(this.#due);
    this.#due = undefined;
    this.#onAnswer();
    this.#next(this.#thinkMs);
  }

  #gone(how) {
    if (this.#isWaiting) {
      this.#lose(this.#text === '' ? how : `${how} within an answer`);
    } else {
      this.#tally.closedIdle();
      this.#leave(); // the next request opens another
    }
  }

  #lose(reason) {
    this.#leave();
    this.#tally.failed(reason);
    this.#next(reason === 'ECONNREFUSED' ? Math.max(knockMs, this.#thinkMs) : this.#thinkMs);
  }

  #next(ms) {
    this.#isWaiting = false;
    if (this.#onEnd) {
      if (this.#due !== undefined) this.#tally.unanswered(this.#due);
      this.#onEnd();
    } else if (ms > 0) {
      this.#timer = setTimeout(() => this.ask(), ms);
    } else {
      this.ask();
    }
  }

  /** Hears no more of its connection. */
  #leave() {
    this.#socket?.removeAllListeners();
    this.#socket?.on('error', () => {}); // of a write that was on its way
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}
