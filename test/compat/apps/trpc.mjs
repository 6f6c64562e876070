import { initTRPC } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';

const t = initTRPC.create();
const router = t.router({
  hello: t.procedure.query(() => 'hello'),
  double: t.procedure.input((n) => n).mutation(({ input }) => input * 2),
  count: t.procedure.subscription(async function* () {
    for (let i = 1; i <= 3; i++) yield i;
  }),
});
createHTTPServer({ router }).listen(process.env.PORT || 3000);
