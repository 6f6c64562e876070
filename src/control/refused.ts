/** What was asked for cannot be done as things are; nothing has been tried. The message says why, and what can. */
export class Refused extends Error {
  override readonly name = 'Refused';
}
