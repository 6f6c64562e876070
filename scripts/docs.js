// Writes docs/options.md from the option table in `dist/`, which must have been built.
import { mkdirSync, writeFileSync } from 'node:fs';
import { optionsPage } from '../dist/config/docs.js';
import { listOptions, optionTable } from '../dist/config/options.js';
import { models } from '../dist/strategies/index.js';

const facts = Object.values(models);
const page = new URL('../docs/options.md', import.meta.url);
mkdirSync(new URL('.', page), { recursive: true });
writeFileSync(page, optionsPage(listOptions(optionTable(facts)), facts));
