// How a target's line differs from others: colour, dashes and point shape, so the charts work without colour vision.
// The colours are in style.css, for light and dark mode.
import { type Html, html } from './html.js';

export interface Mark {
  /** A custom property of style.css, such as `--mark-0`. */
  readonly colour: string;
  /** The dash array: lengths of line, gap, line, … (CSS pixels). */
  readonly dash: readonly number[];
  /** The attribute `d` of an SVG path, within 1 of the origin. */
  readonly shape: string;
}

const colours = 8;

const shapes = [
  'M-.9 0A.9.9 0 1 0 .9 0A.9.9 0 1 0-.9 0Z', // circle
  'M-.8-.8H.8V.8H-.8Z', // square
  'M0-1L1 .75H-1Z', // triangle
  'M0-1.15L1 0L0 1.15L-1 0Z', // diamond
  'M0 1L1-.75H-1Z', // triangle that points down
  'M-.35-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z', // plus
  'M-1-.5L-.5-1L0-.5L.5-1L1-.5L.5 0L1 .5L.5 1L0 .5L-.5 1L-1 .5L-.5 0Z', // cross
] as const;

const dashes = [[], [9, 4], [3, 3], [12, 3, 3, 3], [6, 2], [12, 3, 3, 3, 3, 3]] as const;

/** The counts of colours, shapes and dashes have few common factors, so many targets differ in at least one. */
export function markOf(index: number): Mark {
  return {
    colour: `--mark-${index % colours}`,
    dash: dashes[index % dashes.length] as readonly number[],
    shape: shapes[index % shapes.length] as string,
  };
}

/** The key of a legend entry: a piece of the line with a point. Hidden from screen readers, as the name is next to it. */
export function swatch(index: number): Html {
  const { colour, dash, shape } = markOf(index);
  return html`<svg class="swatch" viewBox="0 0 40 14" width="40" height="14" aria-hidden="true">
<path fill="none" stroke="var(${colour})" stroke-width="2" d="M1 7H39" stroke-dasharray="${dash.join(' ')}"/><path fill="var(${colour})" d="${shape}" transform="translate(20 7) scale(5)"/></svg>`;
}
