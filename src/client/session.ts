// Which session a client's request belongs to, and which session a response begins: --sticky says where both are named. A
// session is known by a hash of its name, as the name is often all that a thief needs.
import { hash } from '../hash.js';
import { type NamedSessionRule, token } from './session-rule.js';

/** 16 hexadecimal digits. */
export type SessionKey = string;

/** A request line, or its beginning; empty lines may come before (RFC 9112, section 2.2). */
const requestLine = new RegExp(`^(?:\r?\n)*(?:${token})?(?: ([^\r\n ]*))?(?: [^\r\n]*)?\r?(\n)?`);

/** @param name of a session, as its client sends it */
export function sessionKey(name: string): SessionKey {
  return [0, 1].map((seed) => hash(name, seed).toString(16).padStart(8, '0')).join('');
}

/**
 * The session of the first request of a connection.
 * @param head the bytes that have come so far
 * @returns `none` when it names none or is no HTTP, `partial` when more bytes are needed to know
 */
export function requestedSession(head: Buffer, rule: NamedSessionRule): SessionKey | 'none' | 'partial' {
  const text = head.toString('latin1');
  const [start = '', target, end] = requestLine.exec(text) ?? [];
  if (end === undefined) return start.length === text.length ? 'partial' : 'none';
  if (target === undefined) return start.trim() === '' ? 'partial' : 'none';
  const name = rule.by === 'query' ? parameter(target, rule.name) : namedInFields(text, start.length, rule);
  return name === 'partial' || name === 'none' ? name : sessionKey(name.value);
}

/**
 * The session of a request that has been read.
 * @param rawHeaders names and values in turn, as Node has them
 */
export function sessionOfRequest(
  target: string,
  rawHeaders: readonly string[],
  rule: NamedSessionRule,
): SessionKey | undefined {
  if (rule.by === 'query') {
    const name = parameter(target, rule.name);
    return name === 'none' ? undefined : sessionKey(name.value);
  }
  const field = fieldOf(rule);
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.length !== field.length || name.toLowerCase() !== field) continue;
    const value = namedIn(rawHeaders[i + 1] as string, rule);
    if (value) return sessionKey(value);
  }
  return undefined;
}

/** What a response's `set-cookie` fields say of the cookie `name`; undefined if they do not set it, or remove it. */
export function grantedCookie(fields: readonly string[], name: string): SessionKey | undefined {
  for (const field of fields) {
    const pair = field.split(';', 1)[0] as string;
    const value = valueIn(pair, name);
    if (value) return sessionKey(value);
  }
  return undefined;
}

/** The value of the first JSON member `name` of a text, as in the answer with which a session of socket.io begins. */
export function grantedMember(text: string, name: string): SessionKey | undefined {
  const start = text.indexOf(`"${name}":"`);
  if (start === -1) return undefined;
  const from = start + name.length + 4;
  const value = text.slice(from, text.indexOf('"', from));
  return /^[\w.~-]+$/.test(value) ? sessionKey(value) : undefined;
}

/** Whether the query of a request's target has a parameter of this name. */
export function hasParameter(target: string, name: string): boolean {
  return parameter(target, name) !== 'none';
}

function parameter(target: string, name: string): { readonly value: string } | 'none' {
  const [, query = ''] = (target.split('#', 1)[0] as string).split(/\?(.*)/s);
  for (const pair of query.split('&')) {
    const value = valueIn(pair, name);
    if (value) return { value };
  }
  return 'none';
}

/** @param from where the first header line begins */
function namedInFields(
  head: string,
  from: number,
  rule: NamedSessionRule,
): { readonly value: string } | 'none' | 'partial' {
  const field = `${fieldOf(rule)}:`;
  for (let start = from; ; ) {
    const end = head.indexOf('\n', start);
    if (end === -1) return 'partial';
    const line = head.slice(start, end).trimEnd();
    if (line === '') return 'none';
    if (line.slice(0, field.length).toLowerCase() === field) {
      const value = namedIn(line.slice(field.length), rule);
      if (value) return { value };
    }
    start = end + 1;
  }
}

/** In lower case. */
function fieldOf({ by, name }: NamedSessionRule): string {
  return by === 'cookie' ? 'cookie' : name.toLowerCase();
}

/** @param value of the field */
function namedIn(value: string, { by, name }: NamedSessionRule): string | undefined {
  if (by === 'header') return value.trim();
  for (const pair of value.split(';')) {
    const found = valueIn(pair.trim(), name);
    if (found) return found;
  }
  return undefined;
}

/** The value in `name=value`, without the quotes that a cookie's may have; undefined for another name. */
function valueIn(pair: string, name: string): string | undefined {
  return pair.startsWith(`${name}=`) ? pair.slice(name.length + 1).replace(/^"(.*)"$/, '$1') : undefined;
}
