// Which worker of a server is meant: those of each route have numbers of their own.

/** Behind the number of a worker in a sentence. */
export function inRoute({ route }: { readonly route?: string }): string {
  return route === undefined ? '' : ` of ${route}`;
}
