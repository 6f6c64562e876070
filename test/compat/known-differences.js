// Why a test of Node passes on plain Node and fails over a captured server: each is an exception that
// docs/compatibility.md names.
const failures =
  'an exception in a listener of the server is answered with 500, or closes the connection; it is not uncaught';
const listeners = 'mpserve has listeners of its own on the socket';

export const reasons = {
  'test-http-connect.js': listeners,
  'test-http-exceptions.js': failures,
  'test-http-server-capture-rejections.js': failures,
  'test-http-server-options-highwatermark.js':
    'mpserve makes the socket, so the `highWaterMark` of the server is ignored',
  'test-http-upgrade-server2.js': failures,
};
