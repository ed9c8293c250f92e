import { join } from 'node:path';
import { goCommands } from './go-commands.mjs';

/** @type {import('./go-commands.mjs').GoCommands} */
const ACTIONLINT = {
  title: 'actionlint',
  name: 'actionlint',
  module: 'github.com/rhysd/actionlint',
  version: 'v1.7.12',
  sum: 'h1:vQ4GeJN86C0QH+gTUQcs8McmK62OLT3kmakPMtEWYnY=',
  modSum: 'h1:krOUhujIsJusovkaYzQ/VNH8PFexjNKqU0q5XI/4w+g=',
  commands: ['cmd/actionlint'],
  tags: [],
  takes: 'under a minute',
};

/** The program that checks workflows of GitHub Actions. */
export const prepareActionlint = async (run) => join(await goCommands(run, ACTIONLINT), 'actionlint');
