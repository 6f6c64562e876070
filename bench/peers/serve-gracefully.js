// The app with a graceful shutdown, as pm2's manual recommends for reloads: on SIGINT it closes its server and then exits.
import { createServer } from 'node:http';
import app from './app.js';

const server = createServer(app).listen(Number(process.env.PORT), '127.0.0.1');
process.once('SIGINT', () => server.close(() => process.exit()));
