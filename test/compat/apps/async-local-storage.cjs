const { AsyncLocalStorage } = require('node:async_hooks');
const { createServer } = require('node:http');

const storage = new AsyncLocalStorage();
async function answer(res) {
  await new Promise((done) => setTimeout(done, Math.random() * 20));
  res.once('finish', () => console.log(`finished ${storage.getStore()}`));
  res.end(storage.getStore());
}
createServer((req, res) => storage.run(req.url, answer, res)).listen(process.env.PORT || 3000);
