// Makes and updates elements. Text becomes text, never HTML.

/** An element of the page. @throws Error if index.html does not have it */
export function byId<E extends HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found as E;
}

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className = '',
  ...content: readonly (string | Node)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

/** Leaves what is as it should be alone: the browser would draw it again, and a screen reader read it. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

export function setData(target: HTMLElement, name: string, value: string): void {
  if (target.dataset[name] !== value) target.dataset[name] = value;
}

/** The children of `parent`: one for each item, which stays while there is an item of its key. */
export class Children<T, E extends Element> {
  readonly #parent: Element;
  readonly #make: (item: T) => E;
  readonly #update: (child: E, item: T) => void;
  readonly #byKey = new Map<string, E>();

  constructor(parent: Element, make: (item: T) => E, update: (child: E, item: T) => void) {
    this.#parent = parent;
    this.#make = make;
    this.#update = update;
  }

  /** @param keyOf unique */
  show(items: readonly T[], keyOf: (item: T) => string): void {
    const keys = new Set(items.map(keyOf));
    for (const [key, child] of this.#byKey) {
      if (keys.has(key)) continue;
      child.remove();
      this.#byKey.delete(key);
    }
    for (const [i, item] of items.entries()) {
      const key = keyOf(item);
      const child = this.#byKey.get(key) ?? this.#make(item);
      this.#byKey.set(key, child);
      this.#update(child, item);
      if (this.#parent.children[i] !== child) this.#parent.insertBefore(child, this.#parent.children[i] ?? null);
    }
  }
}
