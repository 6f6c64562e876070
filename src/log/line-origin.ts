// Where a request is served.

/** With what is the same in all its access lines. */
export interface LineOrigin {
  readonly pid: number;
  readonly tid: number;
  /** What its route matches; undefined without routes. */
  readonly route: string | undefined;
  /** Of a JSON line. */
  readonly fields: string;
}

export function lineOrigin(pid: number, tid = 0, route?: string): LineOrigin {
  const where = route === undefined ? '' : `,"route":${JSON.stringify(route)}`;
  return { pid, tid, route, fields: `"pid":${pid},"tid":${tid},"event":"request"${where}` };
}
