// The values of the options of the access log: the format, the sample and the names that are redacted.
import { accessVariables, readTemplate, templates } from './access-template.js';
import { type Kind, oneOf } from './kind.js';

const named = ['json', ...Object.keys(templates)];

/** `json`, `common`, `combined`, or a template with variables. */
export const accessLogFormat: Kind<string, string> = {
  metavar: 'FORMAT',
  range: `${named.join(', ')}, or a template such as '$remote_addr "$request" $status'`,
  known: [...named, ...accessVariables],
  read(raw) {
    if (typeof raw !== 'string') return { refused: `be ${oneOf([...named, 'a template'])}` };
    if (named.includes(raw)) return { value: raw };
    // Its newlines would be within lines, and Node's own texts have no control characters.
    if (/\p{Cc}/u.test(raw)) return { refused: 'be a template without control characters' };
    const parts = readTemplate(raw);
    if (parts.every((part) => 'text' in part))
      return { refused: `be ${oneOf([...named, "a template with variables such as '$remote_addr $status'"])}` };
    const wrong = parts.find((part) => 'unknown' in part);
    return wrong
      ? { refused: 'have variables that docs/logs.md lists, as $status or $http_host', offender: wrong.unknown }
      : { value: raw };
  },
  write: (value) => value,
};

/** A part of all, from 0 to 1. */
export const fraction: Kind<number, number> = {
  metavar: 'FRACTION',
  range: '0 to 1',
  read(raw) {
    const value = typeof raw === 'string' && /^(\d+(\.\d*)?|\.\d+)$/.test(raw) ? Number(raw) : raw;
    return typeof value === 'number' && value >= 0 && value <= 1
      ? { value }
      : { refused: 'be a number from 0 to 1, such as 0.1 for every tenth request' };
  },
  write: (value) => value,
};
