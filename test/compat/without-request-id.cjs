// Removes the `x-request-id` of every response, so that the tests of Node that compare whole heads can pass.
const { ServerResponse } = require('node:http');

const storeHeader = ServerResponse.prototype._storeHeader;
ServerResponse.prototype._storeHeader = function (firstLine, headers) {
  storeHeader.call(this, firstLine.replace(/x-request-id: .*\r\n/, ''), headers);
};
