// Facts of media types: which have text in UTF-8, which get smaller by compression, and which are compressed already.

const text = /^text\/|^application\/(?:javascript|json|xml|manifest\+json|.*\+json|.*\+xml)$|^image\/svg\+xml$/;
const compressible =
  /^text\/|^font\/(?:ttf|otf|collection)$|^image\/(?:bmp|x-icon|vnd\.microsoft\.icon|x-ms-bmp)$|^application\/(?:javascript|x-javascript|ecmascript|json|jsonl|x-ndjson|ndjson|xml|yaml|x-yaml|toml|sql|graphql|wasm|rtf|x-sh|x-tar|x-www-form-urlencoded|vnd\.ms-fontobject|.*\+(?:json|xml|text))$|\+xml$/;
const compressed =
  /^(?:audio|video)\/|^image\/(?!bmp|svg|x-icon|vnd\.microsoft\.icon|x-ms-bmp)|^font\/woff|^application\/(?:gzip|zip|zstd|x-7z-compressed|x-bzip2?|x-xz|x-rar-compressed|pdf|java-archive|epub\+zip|.*\+zip)$/;

/** @param type without parameters */
export function withCharset(type: string): string {
  return text.test(type) ? `${type}; charset=utf-8` : type;
}

export function isCompressible(type: string): boolean {
  return compressible.test(type);
}

export function isCompressed(type: string): boolean {
  return compressed.test(type);
}
