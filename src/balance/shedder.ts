// Lets the slowest go where every connection lives with somebody of its own, who has to be asked.
import { slowestFirst } from './slowest.js';

export interface Idler {
  /** For how long its client has kept it waiting (milliseconds); -1 while it is the app's turn, or without an answer. */
  idleFor(deadlineMs: number): Promise<number>;
  /** Closes the connection. */
  shed(): void;
}

/** Who does not say within this time how long it has been idle is busy (milliseconds). */
const answerWithin = 100;

/** @returns what to call when it is crowded; while one look is under way, further calls do nothing. */
export function shedder(all: () => Iterable<Idler>): () => void {
  let looking = false;
  const look = async (): Promise<void> => {
    const asked = [...all()].map(async (one) => [one, await one.idleFor(answerWithin)] as const);
    for (const one of slowestFirst(await Promise.all(asked))) one.shed();
    looking = false;
  };
  return () => {
    if (!looking) void look();
    looking = true;
  };
}
