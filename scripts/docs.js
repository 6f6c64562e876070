// Writes docs/options.md and docs/signals.md from the tables in `dist/`, which must have been built.
import { mkdirSync, writeFileSync } from 'node:fs';
import { optionsPage } from '../dist/config/docs.js';
import { listOptions, optionTable } from '../dist/config/options.js';
import { models } from '../dist/strategies/models.js';
import { signalsPage } from '../dist/supervisor/signals-page.js';

const facts = Object.values(models);
const page = (name) => new URL(`../docs/${name}.md`, import.meta.url);
mkdirSync(new URL('.', page('options')), { recursive: true });
writeFileSync(page('options'), optionsPage(listOptions(optionTable(facts)), facts));
writeFileSync(page('signals'), signalsPage());
