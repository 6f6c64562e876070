const Koa = require('koa');

const app = new Koa();
app.keys = ['compat'];
app.use(async (ctx, next) => {
  await next();
  ctx.set('x-after', 'yes');
});
app.use((ctx) => {
  if (ctx.path === '/missing') ctx.throw(404, 'no such thing');
  ctx.cookies.set('seen', 'yes', { signed: true });
  ctx.body = { path: ctx.path };
});
app.listen(process.env.PORT || 3000);
