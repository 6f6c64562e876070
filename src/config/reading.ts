// What becomes of a text that should be a value.

/**
 * A parsed value, or the reason of a refusal: `refused` completes "… must"; `offender` is the item of a list that is
 * wrong.
 */
export type Reading<T> = { readonly value: T } | { readonly refused: string; readonly offender?: unknown };
