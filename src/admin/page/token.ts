// The token of the admin server, which this tab keeps until it is closed.

const key = 'mpserve-token';

export function token(): string | undefined {
  return sessionStorage.getItem(key) ?? undefined;
}

/** The header of a request; none without a token. */
export function authorization(): Readonly<Record<string, string>> {
  const given = token();
  return given === undefined ? {} : { authorization: `Bearer ${given}` };
}

export function keepToken(text: string): void {
  sessionStorage.setItem(key, text);
}

export function forgetToken(): void {
  sessionStorage.removeItem(key);
}
