// The app as pm2's manual wants it for reloads without a loss: at SIGINT it closes its server, and ends when that has.
import { createServer } from 'node:http';
import app from './app.js';

const server = createServer(app).listen(Number(process.env.PORT), '127.0.0.1');
process.once('SIGINT', () => server.close(() => process.exit()));
