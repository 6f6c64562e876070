import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { greet } from './greeting.ts';

createServer((req: IncomingMessage, res: ServerResponse): void => {
  res.end(greet(req.url ?? ''));
}).listen(process.env.PORT || 3000);
