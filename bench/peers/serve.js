// The app with a plain `http.Server`: run by node-http and by each worker of node-cluster, pm2 and Watt. $APP is another app.
import { createServer } from 'node:http';

const { default: app } = await import(process.env.APP ?? './app.js');

createServer(app).listen(Number(process.env.PORT), '127.0.0.1');
