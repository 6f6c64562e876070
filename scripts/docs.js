// Writes docs/options.md, docs/signals.md and docs/metrics.md.
import { writeFileSync } from 'node:fs';
import { metricsPage, optionsPage, signalsPage } from './pages.js';

const page = (name) => new URL(`../docs/${name}.md`, import.meta.url);
writeFileSync(page('options'), optionsPage());
writeFileSync(page('signals'), signalsPage());
writeFileSync(page('metrics'), metricsPage());
