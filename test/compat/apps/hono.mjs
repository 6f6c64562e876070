import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';

const app = new Hono();
app.get('/hello/:name', (c) => c.json({ hello: c.req.param('name') }));
app.post('/echo', async (c) => c.json(await c.req.json()));
app.get('/events', (c) =>
  streamSSE(c, async (stream) => {
    for (const data of ['one', 'two']) await stream.writeSSE({ data });
  }),
);
serve({ fetch: app.fetch, port: Number(process.env.PORT || 3000) });
