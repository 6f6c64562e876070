// "100 Continue" (RFC 9110, section 10.1.1), of which only private fields of Node know whether the client waits for it.
import type { ServerResponse } from 'node:http';

/** Whether the client holds its body back until it is told to send it. */
export function awaitsContinue(res: ServerResponse): boolean {
  const { _expect_continue: isExpected, _sent100: isSent } = res as NodeFields;
  return isExpected === true && isSent !== true;
}

type NodeFields = ServerResponse & { readonly _expect_continue?: boolean; readonly _sent100?: boolean };
