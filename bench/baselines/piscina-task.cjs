// The task of piscina.cjs: what hello.cjs responds.
const body = 'Hello, World!';

module.exports = () => ({
  status: 200,
  headers: { 'content-type': 'text/plain', 'content-length': body.length },
  body,
});
