// Reads `/live`, and connects again for as long as the page is open. Not an EventSource, which cannot send a token.
import type { LiveUpdate } from '../live.js';
import { pieces } from './pieces.js';
import { authorization, forgetToken, token } from './token.js';

/** The server sends something every second (milliseconds). */
const maxSilenceMs = 5000;
const retryMs = 1000;
/** So that many pages do not come back at the same time. */
const retryJitterMs = 1000;
/** mpserve writes each event as one line. */
const dataField = 'data: ';

export interface StreamListener {
  /** @param isFirst it has all that the server has, not only what is new */
  update(update: LiveUpdate, isFirst: boolean): void;
  lost(reason: string): void;
  /** Settles when the user has given a token. */
  askToken(problem: string): Promise<void>;
}

export async function follow(listener: StreamListener): Promise<never> {
  for (;;) {
    try {
      await readOnce(listener);
      listener.lost('the server has ended the connection');
    } catch (error) {
      listener.lost((error as Error).message);
    }
    await new Promise((done) => setTimeout(done, retryMs + Math.random() * retryJitterMs));
  }
}

/** Settles when the stream has ended. @throws Error if there is none */
async function readOnce(listener: StreamListener): Promise<void> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const alive = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(new Error('the server does not answer')), maxSilenceMs);
  };
  alive();
  try {
    const response = await fetch('live', {
      headers: authorization(),
      cache: 'no-store',
      signal: controller.signal,
    });
    if (response.status === 401 || response.status === 429) {
      const problem = token() === undefined ? '' : (await response.text()).trim();
      clearTimeout(timer);
      if (response.status === 401) forgetToken();
      await listener.askToken(problem);
      return readOnce(listener);
    }
    if (!response.ok || !response.body) throw new Error((await response.text()).trim().slice(0, 200));
    let isFirst = true;
    for await (const event of pieces(response.body, '\n\n', alive)) {
      if (!event.startsWith(dataField)) continue; // a comment: the server lives
      listener.update(JSON.parse(event.slice(dataField.length)), isFirst);
      isFirst = false;
    }
  } finally {
    clearTimeout(timer);
  }
}
