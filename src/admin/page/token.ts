// The token of the admin server, which this tab keeps until it is closed.

const key = 'mpserve-token';

export function token(): string | undefined {
  return sessionStorage.getItem(key) ?? undefined;
}

export function keepToken(text: string): void {
  sessionStorage.setItem(key, text);
}

export function forgetToken(): void {
  sessionStorage.removeItem(key);
}
