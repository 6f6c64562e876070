// How often a long test repeats what it does: FULL=1 plays all, which takes minutes more.

export const isFull = Boolean(process.env.FULL);

export function repetitions({ few, all }: { readonly few: number; readonly all: number }): number {
  return isFull ? all : few;
}
