// A file and its other forms: the compressed files beside it, and those that the server makes.
import { crc32 } from 'node:zlib';
import { type Coding, madeCodings } from '../http/coding-name.js';
import { compress, compressorVersion, maxUncompressedSize } from './compress.js';
import { type FileStat, isSameVersion, OpenFile, statOf, versionOf } from './file.js';
import { type Media, mediaOf } from './media.js';
import { type Representation, type RepresentationFacts, representation } from './representation.js';
import type { NoFile, Root } from './root.js';

export interface ResourceOptions {
  readonly root: Root;
  readonly cacheControl: (media: Media) => string;
  /** Larger files are not read into memory, not even to compress them (bytes). */
  readonly maxInMemory: number;
  /** Larger files are not kept in memory as they are. */
  readonly maxSmall: number;
}

const extensions: Readonly<Record<Coding, string>> = { br: '.br', zstd: '.zst', gzip: '.gz' };

/** What an entry takes besides the bytes of the file. */
const overhead = 1024;
/** A file that changes while it is read is read again, up to this often. */
const maxAttempts = 5;
/** The clock of file systems moves in steps of up to 10 ms: within one, a change leaves the time as it was. */
const settleMs = 20;
/** Within this time of a change, another one may leave a file with the same time: its file system may have only seconds. */
const youngMs = 2000;

export class Resource {
  readonly kind = 'file';
  weight: number;
  readonly #options: ResourceOptions;
  readonly #media: Media;
  /** Of those compressed files that were looked for; null where there is none. */
  readonly #siblings = new Map<Coding, Representation | null>();
  /** Of those that the server has made; null where that saves too little. */
  readonly #made = new Map<Coding, Representation | null>();
  /** By the codings that a client accepts. */
  readonly #chosen = new Map<readonly Coding[], Representation>();
  readonly #choosing = new Map<readonly Coding[], Promise<Representation>>();
  readonly #isYoung: boolean;

  private constructor(
    readonly name: string,
    readonly plain: Representation,
    media: Media,
    options: ResourceOptions,
    /** When it was last compared with its file (milliseconds of `clock.ts`). */
    public checkedAt: number,
  ) {
    this.#media = media;
    this.#options = options;
    this.weight = overhead + 2 * name.length + weightOf(plain);
    this.#isYoung = ageOf(plain.version) < youngMs;
  }

  /** @param at now. @throws the error of the system if the file cannot be read now */
  static async load(name: string, options: ResourceOptions, at: number): Promise<Resource | NoFile> {
    const media = mediaOf(name);
    const plain = await load({ name, media, cacheControl: options.cacheControl(media) }, options);
    return typeof plain === 'string' ? plain : new Resource(name, plain, media, options, at);
  }

  /** @returns undefined if it is not known yet, which `choose` finds out */
  chosen(accepted: readonly Coding[]): Representation | undefined {
    if (accepted.length === 0 || !this.#media.mayHaveSiblings) return this.plain;
    return this.#chosen.get(accepted);
  }

  /** A file that is there comes before one that would have to be made. */
  choose(accepted: readonly Coding[]): Promise<Representation> {
    let choosing = this.#choosing.get(accepted);
    if (!choosing) {
      choosing = this.#choose(accepted).finally(() => this.#choosing.delete(accepted));
      this.#choosing.set(accepted, choosing);
    }
    return choosing;
  }

  /** Whether the files are still those that were read. */
  async isCurrent(): Promise<boolean> {
    if (this.#isYoung && this.plain.bytes) return false;
    const { root } = this.#options;
    const isSame = async (name: string, known: Representation | null): Promise<boolean> => {
      const stat = await statOf(root.pathOf(name));
      if (!stat || !known) return (stat === undefined) === (known === null);
      return isSameVersion(versionOf(stat), known.version);
    };
    const files = [...this.#siblings].map(([coding, known]) => isSame(this.name + extensions[coding], known));
    return (await Promise.all([isSame(this.name, this.plain), ...files])).every(Boolean);
  }

  async #choose(accepted: readonly Coding[]): Promise<Representation> {
    try {
      const chosen = (await this.#findSibling(accepted)) ?? (await this.#make(accepted)) ?? this.plain;
      this.#chosen.set(accepted, chosen);
      return chosen;
    } catch {
      return this.plain; // a file cannot be read now: the next request looks again
    }
  }

  async #findSibling(accepted: readonly Coding[]): Promise<Representation | undefined> {
    for (const coding of accepted) {
      let found = this.#siblings.get(coding);
      if (found === undefined) {
        const name = this.name + extensions[coding];
        const { cacheControl } = this.#options;
        const facts = { name, media: this.#media, cacheControl: cacheControl(this.#media), coding };
        const loaded = await load(facts, this.#options);
        found = typeof loaded === 'string' ? null : loaded;
        this.#add(this.#siblings, coding, found);
      }
      if (found) return found;
    }
    return undefined;
  }

  async #make(accepted: readonly Coding[]): Promise<Representation | undefined> {
    const coding = accepted.find((coding) => madeCodings.includes(coding));
    const { size } = this.plain;
    if (!coding || !this.#media.isCompressible || size <= maxUncompressedSize) return undefined;
    if (size > this.#options.maxInMemory) return undefined;
    const before = this.#made.get(coding);
    if (before !== undefined) return before ?? undefined;
    const bytes = this.plain.bytes ?? (await this.#read());
    if (!bytes) return undefined;
    const compressed = await compress(bytes, coding);
    const made = compressed
      ? representation({
          name: this.name,
          version: this.plain.version,
          media: this.#media,
          cacheControl: this.#options.cacheControl(this.#media),
          bytes: compressed,
          checksum: crc32(bytes),
          coding,
          madeBy: compressorVersion(coding),
        })
      : null;
    this.#add(this.#made, coding, made);
    return made ?? undefined;
  }

  /** The whole file, if it still is this version. */
  async #read(): Promise<Buffer | undefined> {
    const file = await this.#options.root.open(this.name);
    if (!(file instanceof OpenFile)) return undefined;
    try {
      return isSameVersion(file.version, this.plain.version) ? await file.readWhole() : undefined;
    } finally {
      file.close();
    }
  }

  #add(to: Map<Coding, Representation | null>, coding: Coding, found: Representation | null): void {
    to.set(coding, found);
    this.weight += found ? weightOf(found) : 0;
  }
}

/** Milliseconds since it changed, or until it will have. */
function ageOf({ mtimeNs }: FileStat): number {
  return Math.abs(Date.now() - Number(mtimeNs / 1_000_000n));
}

/** Each representation has its headers; a small one its bytes twice. */
function weightOf({ bytes, text }: Representation): number {
  return overhead + (bytes?.length ?? 0) + (text?.length ?? 0);
}

async function load(
  facts: Omit<RepresentationFacts, 'version' | 'bytes' | 'checksum'>,
  { root, maxSmall }: ResourceOptions,
): Promise<Representation | NoFile> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    if (attempt > 0) await new Promise((next) => setTimeout(next, settleMs));
    const file = await root.open(facts.name);
    if (!(file instanceof OpenFile)) return file;
    try {
      const { version } = file;
      if (ageOf(version) < settleMs && attempt < maxAttempts - 1) continue;
      if (version.size > maxSmall) return representation({ ...facts, version });
      const bytes = await file.readWhole();
      if (bytes) return representation({ ...facts, version, bytes, checksum: crc32(bytes) });
    } finally {
      file.close();
    }
  }
  throw new Error(`${root.pathOf(facts.name)} changes each time it is read`);
}
