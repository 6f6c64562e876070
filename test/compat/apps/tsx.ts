import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { greet } from './greeting.js'; // a TypeScript file, as tsx resolves it

enum Status {
  ok = 200,
}
createServer((req: IncomingMessage, res: ServerResponse): void => {
  res.writeHead(Status.ok).end(greet(req.url ?? ''));
}).listen(process.env.PORT || 3000);
