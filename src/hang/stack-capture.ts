// Captures the stack of a blocked event loop from another thread: an inspector session pauses the JavaScript, reads the
// stack, and calls a hook in the paused thread, which reports the stack with the requests in flight (decision 10).

/** An inspector session with the blocked thread (Chrome DevTools Protocol). */
export interface Target {
  post(method: string, params?: object): Promise<unknown>;
  onEvent(listener: (event: TargetEvent) => void): void;
}

export interface TargetEvent {
  readonly method?: string;
  readonly params?: object;
}

/** `Debugger.CallFrame` of the protocol; lines and columns count from 0. */
interface Frame {
  readonly functionName: string;
  readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber?: number };
}

type ReportHang = (stack: readonly string[], blockedMs: number) => void;

const hookName = 'mpserve.hangReport';
const maxFrames = 12;
/** Code that has not paused by then is native. */
const pauseTimeoutMs = 1000;

/** Installs the hook of this thread. */
export function onHangReport(report: ReportHang): void {
  Object.defineProperty(globalThis, Symbol.for(hookName), { value: report, configurable: true });
}

/** Calls the hook of the blocked thread. @returns false if the thread cannot be paused: it is blocked in native code */
export async function captureStack(target: Target, blockedMs: number): Promise<boolean> {
  // Frames name their script by its id.
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
  const frames = await withinPause(paused);
  if (!frames) return false;
  const stack = JSON.stringify(frames.slice(0, maxFrames).map((frame) => formatFrame(frame, urls)));
  const expression = `globalThis[Symbol.for('${hookName}')]?.(${stack}, ${Math.round(blockedMs)})`;
  const result = await withinPause(target.post('Runtime.evaluate', { expression }));
  // A paused thread cannot be terminated.
  await withinPause(target.post('Debugger.resume'));
  return result !== undefined;
}

/** `render (/srv/app/views.js:12:7)`, as in the stack of an error. */
function formatFrame({ functionName, location }: Frame, urls: ReadonlyMap<string, string>): string {
  const url = urls.get(location.scriptId) ?? '';
  const file = url.startsWith('file://') ? decodeURI(url.slice('file://'.length)) : url;
  return `${functionName || '(anonymous)'} (${file}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1})`;
}

/** @returns undefined if `promise` rejects or takes too long */
async function withinPause<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, pauseTimeoutMs, undefined);
  });
  const result = await Promise.race([promise, timeout]).catch(() => undefined);
  clearTimeout(timer);
  return result;
}
