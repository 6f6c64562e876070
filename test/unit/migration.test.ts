// Connections that are carried over and over, at random moments of random conversations: each client must get exactly
// the bytes that it would have got from one server, in order. Two pipelines take from each other whatever is at rest.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Activity } from '../../src/activity.ts';
import type { App } from '../../src/app/app.ts';
import type { Limits } from '../../src/config/config.ts';
import { Acceptor } from '../../src/connection/acceptor.ts';
import {
  closeMigrationChannel,
  duplicateForAcceptor,
  type MigrationChannel,
  openMigrationChannel,
} from '../../src/migration/channel.ts';
import { openListeningSocket, portOf } from '../../src/os/listening-socket.ts';
import { createPipeline, type Pipeline } from '../../src/pipeline/pipeline.ts';
import { repetitions } from '../helpers/repetitions.ts';

const targets = ['/', '/late', '/parts', '/late/parts'];
const clients = 16;

/** A number from 0 to 1 that depends on `seed` alone (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Answers with the method, the target and the body, at once or a little later, in one piece or in several. */
const app: App = {
  kind: 'listener',
  async handle(req, res) {
    let body = '';
    for await (const chunk of req.setEncoding('latin1')) body += chunk;
    const { url = '' } = req;
    if (url.includes('late')) await pause(1);
    const text = `${req.method} ${url} ${body}`;
    res.sendDate = false;
    res.setHeader('content-length', text.length);
    if (url.includes('parts')) {
      res.write(text.slice(0, 3));
      await turn();
      res.end(text.slice(3));
    } else res.end(text);
  },
};

const limits: Limits = {
  headerTimeout: 20_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 16_384,
  maxBodySize: 0,
  maxRequestsPerConnection: 0,
  rateLimit: undefined,
  requestDeadline: 0,
  drainQuiet: 1000,
  wsDrain: 0,
};

class House {
  moves = 0;
  readonly told: string[] = [];
  readonly #acceptors: Acceptor[] = [];
  readonly #pipelines: Pipeline[] = [];
  readonly #fd = openListeningSocket({ kind: 'tcp', host: '127.0.0.1', port: 0 }, 128);
  readonly port = portOf(this.#fd);
  readonly #channel: MigrationChannel = openMigrationChannel();

  static async open(): Promise<House> {
    const house = new House();
    for (const fds of [[house.#fd], []]) house.#acceptors.push(await house.#serve(fds));
    return house;
  }

  /** Has one of the two give a part of its connections away. */
  move(one: number, part: number): void {
    this.#pipelines[one]?.rebalance(part);
  }

  async close(): Promise<void> {
    for (const acceptor of this.#acceptors) acceptor.close();
    for (const pipeline of this.#pipelines) await pipeline.drain(0);
    closeMigrationChannel(this.#channel);
  }

  async #serve(fds: readonly number[]): Promise<Acceptor> {
    const pipeline = await createPipeline({
      app,
      limits,
      limitsGiven: [],
      isForwarded: false,
      files: undefined,
      access: { accessLogFormat: 'json', accessLogSample: 1, slow: undefined, logRedact: [] },
      clients: { trustProxy: [], proxyProtocol: false, proxyToApp: false },
      maxConnections: 1000,
      accessLog: undefined,
      busy: undefined,
      journal: undefined,
      memory: undefined,
      slot: undefined,
      overload: {
        maxInflight: 0,
        queueMax: 0,
        queueTimeout: 0,
        shed: undefined,
        healthPath: [],
        priorityPath: [],
      },
      cache: undefined,
      compress: undefined,
      counts: false,
      countsAnswers: false,
      sessions: { sticky: undefined },
      onSession: () => {},
      migrationChannel: this.#channel,
      identity: { pid: process.pid, tid: 0 },
      tell: (told) => void this.told.push('kind' in told ? told.kind : told.event),
      activity: new Activity(),
    });
    this.#pipelines.push(pipeline);
    const acceptor = new Acceptor({
      fds,
      backlog: 128,
      limit: 1000,
      isShared: false,
      handsOver: false,
      migrationChannel: duplicateForAcceptor([], this.#channel).migrationChannel,
      onCrowded: () => {},
      serve: (connection) => {
        if (connection.facts.requests > 0) this.moves++;
        return pipeline.adopt(connection);
      },
    });
    acceptor.start();
    return acceptor;
  }
}

/** A client on one connection: what it says, and what it must hear to the byte. */
class Conversation {
  #heard = '';
  #expected = '';
  #id = 0;
  readonly #socket: Socket;
  readonly #random: () => number;
  #wake = (): void => {};

  constructor(port: number, random: () => number) {
    this.#random = random;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    this.#socket.setEncoding('latin1').on('data', (text: string) => {
      this.#heard += text;
      this.#wake();
    });
    this.#socket.on('error', () => {}).on('close', () => this.#wake());
  }

  async talk(): Promise<void> {
    const kinds = [this.#get, this.#pipelined, this.#head, this.#post, this.#chunked, this.#patient] as const;
    await once(this.#socket, 'connect');
    if (this.#random() < 0.3) await pause(this.#random() * 10); // just opened, and quiet
    const exchanges = 5 + Math.floor(this.#random() * 30);
    for (let i = 0; i < exchanges; i++) {
      await (kinds[Math.floor(this.#random() * kinds.length)] as () => Promise<void>).call(this);
      await this.#hear();
      // At times long enough to be carried over while idle, at times not at all.
      if (this.#random() < 0.5) await (this.#random() < 0.5 ? turn() : pause(this.#random() * 6));
    }
    await this.#leave();
  }

  async #get(): Promise<void> {
    await this.#say(this.#request('GET'));
  }

  async #head(): Promise<void> {
    await this.#say(this.#request('HEAD'));
  }

  async #pipelined(): Promise<void> {
    const count = 2 + Math.floor(this.#random() * 4);
    let text = '';
    for (let i = 0; i < count; i++) text += this.#request(this.#random() < 0.2 ? 'HEAD' : 'GET');
    await this.#say(text);
  }

  async #post(): Promise<void> {
    await this.#say(this.#request('POST', 'x'.repeat(Math.floor(this.#random() * 3000))));
  }

  async #chunked(): Promise<void> {
    const parts = Array.from({ length: 3 }, () => 'y'.repeat(1 + Math.floor(this.#random() * 50)));
    const body = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
    const { head } = this.#announce('POST', parts.join(''), 'transfer-encoding: chunked\r\n');
    await this.#say(`${head}${body}0\r\n\r\n`);
  }

  /** Sends its body only when it has been told to. */
  async #patient(): Promise<void> {
    const body = 'z'.repeat(1 + Math.floor(this.#random() * 100));
    const before = this.#expected;
    const fields = `expect: 100-continue\r\ncontent-length: ${body.length}\r\n`;
    const { head, answer } = this.#announce('POST', body, fields);
    this.#expected = `${before}HTTP/1.1 100 Continue\r\n\r\n`;
    await this.#say(head);
    await this.#hear();
    this.#expected += answer;
    await this.#say(body);
  }

  /** Ends its half after a last request, or just goes. (What is not answered at once then, Node cuts off.) */
  async #leave(): Promise<void> {
    if (this.#random() < 0.5) {
      await this.#say(this.#announce('GET', '', '', '/').head);
      this.#socket.end();
      await this.#hear();
    }
    this.#socket.destroy();
  }

  #request(method: string, body?: string): string {
    const length = body === undefined ? '' : `content-length: ${body.length}\r\n`;
    return `${this.#announce(method, body ?? '', length).head}${body ?? ''}`;
  }

  #announce(method: string, body: string, fields: string, to?: string): { head: string; answer: string } {
    const id = `c${this.#id++}`;
    const target = to ?? (targets[Math.floor(this.#random() * targets.length)] as string);
    const text = `${method} ${target} ${body}`;
    const answer =
      `HTTP/1.1 200 OK\r\nx-request-id: ${id}\r\ncontent-length: ${text.length}\r\n` +
      `Connection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n${method === 'HEAD' ? '' : text}`;
    this.#expected += answer;
    return { head: `${method} ${target} HTTP/1.1\r\nhost: x\r\nx-request-id: ${id}\r\n${fields}\r\n`, answer };
  }

  /** In one piece, or in several with pauses between them. */
  async #say(text: string): Promise<void> {
    let rest = text;
    while (this.#random() < 0.4 && rest.length > 1) {
      const cut = 1 + Math.floor(this.#random() * (rest.length - 1));
      this.#socket.write(rest.slice(0, cut), 'latin1');
      rest = rest.slice(cut);
      await (this.#random() < 0.5 ? turn() : pause(this.#random() * 3));
    }
    this.#socket.write(rest, 'latin1');
  }

  /** Until all that is expected has come; nothing else may. */
  async #hear(): Promise<void> {
    while (this.#heard.length < this.#expected.length && !this.#socket.destroyed) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
      if (!this.#expected.startsWith(this.#heard)) break;
    }
    expect(this.#heard).toBe(this.#expected);
    this.#heard = '';
    this.#expected = '';
  }
}

const moves: readonly (readonly [wanted: number, tags: string[]])[] = [
  [500, []],
  [repetitions({ few: 3000, all: 10_000 }), ['long']],
];
for (const [wanted, tags] of moves)
  test(`${wanted} moves at random moments change no byte of what clients hear`, { tags }, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = randomFrom(seed);
    const house = await House.open();
    try {
      const talking = Array.from({ length: clients }, async () => {
        while (house.moves < wanted) await new Conversation(house.port, random).talk();
      });
      const moving = (async () => {
        while (house.moves < wanted) {
          house.move(random() < 0.5 ? 0 : 1, random());
          await (random() < 0.7 ? turn() : pause(random() * 3));
        }
      })();
      await Promise.all([...talking, moving]);
      expect(house.moves).toBeGreaterThanOrEqual(wanted);
      expect(house.told).toEqual([]);
    } catch (error) {
      throw new Error(`with the seed ${seed}: ${(error as Error).message}`, { cause: error });
    } finally {
      await house.close();
    }
  });
