/** The action is impossible or invalid, so the server did not start it. The message says why, and what is possible. */
export class Refused extends Error {
  override readonly name = 'Refused';
}
