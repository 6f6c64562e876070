// What the admin server and the control socket show to readers. Plain data.

export interface Page {
  /** Of HTTP. */
  readonly status: number;
  /** The value of Content-Type. */
  readonly type: string;
  readonly content: string;
}

/** By path. @param accept the header Accept of the request @param queryString empty if the request has none */
export type Pages = Readonly<Record<string, (accept: string | undefined, queryString: string) => Page | Promise<Page>>>;

/** @param target of a request. @returns the query string is empty if there is none */
export function splitTarget(target = ''): readonly [path: string, queryString: string] {
  const mark = target.indexOf('?');
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)];
}

export function textPage(status: number, content: string): Page {
  return { status, type: 'text/plain; charset=utf-8', content: `${content}\n` };
}

export function jsonPage(content: unknown): Page {
  return { status: 200, type: 'application/json', content: `${JSON.stringify(content)}\n` };
}
