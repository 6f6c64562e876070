// The dashboard: shows what `/live` tells. Everything that comes from clients or the app is shown as text.
import type { LiveUpdate, TimelineEvent } from '../live.js';
import { ActionsView } from './actions.js';
import { Banner } from './banner.js';
import { Curves } from './curves.js';
import { byId } from './dom.js';
import { EventsView } from './events.js';
import { FiguresView } from './figures.js';
import { InFlightView } from './in-flight.js';
import { Kept } from './kept.js';
import { LogView } from './log.js';
import { StateView } from './state.js';
import { follow } from './stream.js';
import { TokenForm } from './token-form.js';
import { TreeView } from './tree.js';

/** Starts and exits of single workers are only on the strip. */
const marked: readonly TimelineEvent['kind'][] = [
  'crash',
  'hang',
  'reload',
  'switch',
  'scale',
  'upgrade',
  'quarantine',
  'failure',
];

const kept = new Kept();
const banner = new Banner();
const form = new TokenForm();
const views = {
  state: new StateView(),
  figures: new FiguresView(),
  tree: new TreeView(),
  flight: new InFlightView(),
  actions: new ActionsView(),
  log: new LogView(),
  events: new EventsView(),
};
const showStrip = (): void => views.events.showStrip(kept.events, (at) => curves.leftOf(at));
const curves = new Curves(views.events.strip, showStrip);

function update(live: LiveUpdate, isFirst: boolean): void {
  kept.add(live, isFirst);
  banner.updated();
  byId('content').hidden = false;
  views.state.show(live);
  views.figures.show(kept.points, live.at);
  views.tree.show(live);
  views.flight.show(live.workers);
  views.actions.show(live);
  curves.show(
    kept.points,
    kept.events.filter(({ kind }) => marked.includes(kind)),
    kept.since ?? live.at,
    live.at,
  );
  showStrip();
  if (isFirst || live.events.length > 0) views.events.showList(kept.events);
  if (isFirst || live.log.length > 0) views.log.show(kept.log);
}

void follow({
  update,
  lost: (reason) => {
    banner.show(reason);
    views.state.lost();
  },
  askToken: (problem) => {
    banner.hide();
    views.state.locked();
    return form.ask(problem);
  },
});
