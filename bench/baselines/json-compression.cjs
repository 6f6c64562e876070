// The same, compressed by the app.
module.exports = require('./json-express.cjs').create(require('compression')());
