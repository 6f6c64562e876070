// Captures the stack of a blocked event loop. An inspector session from another thread pauses its JavaScript and reads the
// stack, and calls, in that pause, a hook of the event loop that reports the stack with its requests in flight. (decision 10)

/** A session of the inspector with a blocked event loop (Chrome DevTools Protocol). */
export interface Target {
  post(method: string, params?: object): Promise<unknown>;
  /** Told of each event of the session. */
  onEvent(listener: (event: TargetEvent) => void): void;
}

export interface TargetEvent {
  readonly method?: string;
  readonly params?: object;
}

/** `Debugger.CallFrame` of the protocol. */
interface Frame {
  readonly functionName: string;
  /** Lines and columns from 0. */
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number };
}

/** Called in the pause. */
type HangReport = (stack: readonly string[], stillMs: number) => void;

const name = 'mpserve.hangReport';
const maxFrames = 12;
/** Code that has not paused by then is not JavaScript's (milliseconds). */
const pauseMs = 1000;

/** Installs the hook that `captureStack` calls. */
export function onHangReport(report: HangReport): void {
  Object.defineProperty(globalThis, Symbol.for(name), { value: report, configurable: true });
}

/** @returns whether it could be paused and has reported; if not, it is blocked in native code */
export async function captureStack(target: Target, stillMs: number): Promise<boolean> {
  // A frame has the number of its script; the name may be missing.
  const urls = new Map<string, string>();
  const paused = new Promise<readonly Frame[]>((pause) => {
    target.onEvent(({ method, params }) => {
      if (method === 'Debugger.paused') pause((params as { callFrames: readonly Frame[] }).callFrames);
      if (method !== 'Debugger.scriptParsed') return;
      const { scriptId, url } = params as { scriptId: string; url: string };
      urls.set(scriptId, url);
    });
  });
  target.post('Debugger.enable').catch(() => {});
  target.post('Debugger.pause').catch(() => {});
  const frames = await inTime(paused);
  if (!frames) return false;
  const stack = JSON.stringify(frames.slice(0, maxFrames).map((frame) => written(frame, urls)));
  const expression = `globalThis[Symbol.for('${name}')]?.(${stack}, ${Math.round(stillMs)})`;
  // A promise that is not kept when the loop goes on by itself.
  const told = await inTime(target.post('Runtime.evaluate', { expression }));
  // A paused thread cannot be ended.
  await inTime(target.post('Debugger.resume'));
  return told !== undefined;
}

/** `render (/srv/app/views.js:12:7)`, as in the stack of an error. */
function written({ functionName, location }: Frame, urls: ReadonlyMap<string, string>): string {
  const url = urls.get(location.scriptId) ?? '';
  const file = url.startsWith('file://') ? decodeURI(url.slice('file://'.length)) : url;
  return `${functionName || '(anonymous)'} (${file}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1})`;
}

async function inTime<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, pauseMs, undefined);
  });
  const first = await Promise.race([promise, late]).catch(() => undefined);
  clearTimeout(timer);
  return first;
}
