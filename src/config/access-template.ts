// Templates for access lines: text, and variables as in nginx. What the variables say is in `log/access-variables`.

/** All but `$http_NAME`, a header of the request. */
export const accessVariables = [
  ...(['remote_addr', 'remote_user', 'time_local', 'time_iso8601', 'msec', 'request', 'request_method'] as const),
  ...(['request_uri', 'uri', 'args', 'server_protocol', 'status', 'bytes_sent', 'body_bytes_sent'] as const),
  ...(['body_bytes_clf', 'request_time', 'request_id', 'cache', 'slow', 'blocked_ms', 'trace_id', 'span_id'] as const),
  ...(['pid', 'tid', 'route'] as const),
] as const;

export type AccessVariable = (typeof accessVariables)[number];

/** Those of Apache's documentation (mod_log_config), to the byte. */
const common = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_clf';

/** Names of templates. */
export const templates: Readonly<Record<string, string>> = {
  common,
  combined: `${common} "$http_referer" "$http_user_agent"`,
};

/** `header`: its name in lower case. `unknown`: the name is no variable. */
type Part =
  | { readonly text: string }
  | { readonly variable: AccessVariable }
  | { readonly header: string }
  | { readonly unknown: string };

const variableName = /\$(?:(\$)|\{(\w+)\}|(\w+))/g;
const headerName = /^http_(\w+)$/;

export function readTemplate(template: string): readonly Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const { 0: all, 1: dollar, 2: inBraces, 3: bare, index } of template.matchAll(variableName)) {
    if (index > end) parts.push({ text: template.slice(end, index) });
    parts.push(dollar ? { text: '$' } : named(inBraces ?? bare ?? ''));
    end = index + all.length;
  }
  if (end < template.length) parts.push({ text: template.slice(end) });
  return parts;
}

function named(name: string): Part {
  const variable = accessVariables.find((one) => one === name);
  if (variable) return { variable };
  const header = headerName.exec(name)?.[1];
  return header === undefined ? { unknown: name } : { header: header.toLowerCase().replaceAll('_', '-') };
}
