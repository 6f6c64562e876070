// Checks values that another process has sent. What comes out is new, of the right type and of a bounded size; the value
// itself is never passed on, and no value makes a check throw.

/** What a check returns for a value of the wrong type or out of range. */
export const invalid = Symbol('invalid');

export type Check<T> = (value: unknown) => T | typeof invalid;

/** A check for each field of `M`. */
export type Fields<M> = { readonly [K in keyof M]-?: Check<M[K]> };
/** The same, of a union's member, without the fields `Besides`. */
export type FieldsOf<M, Besides extends string> = M extends unknown ? Fields<Omit<M, Besides>> : never;

export const number =
  (min: number, max: number): Check<number> =>
  (value) =>
    typeof value === 'number' && value >= min && value <= max ? value : invalid;

export const integer =
  (min: number, max: number): Check<number> =>
  (value) =>
    Number.isSafeInteger(value) ? number(min, max)(value) : invalid;

export const flag: Check<boolean> = (value) => (typeof value === 'boolean' ? value : invalid);

/** A longer one is cut to `longest` characters. */
export const text =
  (longest: number): Check<string> =>
  (value) =>
    typeof value === 'string' ? value.slice(0, longest) : invalid;

export const oneOf =
  <T>(...allowed: readonly T[]): Check<T> =>
  (value) =>
    allowed.includes(value as T) ? (value as T) : invalid;

export const optional =
  <T>(check: Check<T>): Check<T | undefined> =>
  (value) =>
    value === undefined ? undefined : check(value);

/** A longer one is cut to `longest` elements. */
export const list =
  <T>(longest: number, check: Check<T>): Check<readonly T[]> =>
  (value) => {
    if (!Array.isArray(value)) return invalid;
    const checked = value.slice(0, longest).map(check);
    return checked.includes(invalid) ? invalid : (checked as T[]);
  };

/** Of the fields of `value` only these, and only its own ones. */
export function record<M extends object>(fields: Fields<M>): Check<M> {
  const checks = Object.entries(fields) as [string, Check<unknown>][];
  return (value) => {
    if (typeof value !== 'object' || value === null) return invalid;
    const made: Record<string, unknown> = {};
    for (const [name, check] of checks) {
      const field = check(ownField(value, name));
      if (field === invalid) return invalid;
      if (field !== undefined) made[name] = field;
    }
    return made as M;
  };
}

/** `record` of each row of a table, by the row's name. */
export function recordsByName(table: Readonly<Record<string, object>>): ReadonlyMap<unknown, Check<object>> {
  return new Map(Object.entries(table).map(([name, fields]) => [name, record(fields as Fields<object>)]));
}

/** undefined if `value` does not have the field itself. */
export function ownField(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
