// Writes docs/options.md and docs/signals.md.
import { writeFileSync } from 'node:fs';
import { optionsPage, signalsPage } from './pages.js';

const page = (name) => new URL(`../docs/${name}.md`, import.meta.url);
writeFileSync(page('options'), optionsPage());
writeFileSync(page('signals'), signalsPage());
