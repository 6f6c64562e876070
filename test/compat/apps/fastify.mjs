import Fastify from 'fastify';

const app = Fastify();
const schema = { body: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } };
app.post('/double', { schema }, async ({ body }) => ({ doubled: body.n * 2 }));
app.get('/stream', (_request, reply) => {
  reply.raw.write('one ');
  setTimeout(() => reply.raw.end('two'), 20);
});
await app.listen({ port: process.env.PORT || 3000, host: '0.0.0.0' });
