// What the admin server and the control socket show to those who only read. Plain data.

export interface Page {
  /** Of HTTP. */
  readonly status: number;
  /** The value of Content-Type. */
  readonly type: string;
  readonly content: string;
}

/** By path. @param accept the header Accept of the request @param queryString empty if the request has none */
export type Pages = Readonly<Record<string, (accept: string | undefined, queryString: string) => Page | Promise<Page>>>;

export function textPage(status: number, content: string): Page {
  return { status, type: 'text/plain; charset=utf-8', content: `${content}\n` };
}

export function jsonPage(content: unknown): Page {
  return { status: 200, type: 'application/json', content: `${JSON.stringify(content)}\n` };
}
