// The app of the Node peers and of mpserve: the routes of the demo app.
import { demoApp } from '../../dist/app/demo.js';

export default demoApp({ faults: true }).handle;
