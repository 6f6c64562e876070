// The page's script in the browser, a classic script that runs after uPlot: draws each `.chart` from the JSON that follows
// it. page/chart.ts has formatted all values.
(() => {
  /* global uPlot */
  const height = 280;
  const font = '12px system-ui, sans-serif';
  const minLabelDistance = 44; // between the centres of two labels, in CSS pixels

  /** The colour in this mode, for a canvas. @param property of style.css, such as `--quiet` */
  function colour(property) {
    const { head } = document; // shows nothing itself
    head.style.color = `var(${property})`;
    return getComputedStyle(head).color;
  }

  const create = (name, properties) => Object.assign(document.createElement(name), properties);

  const scale = ({ isLog, from, to }) => ({ time: false, distr: isLog ? 3 : 1, range: () => [from, to] });

  function axis({ ticks }, isHorizontal) {
    const labels = new Map(ticks);
    const longest = Math.max(...ticks.map(([, label]) => label.length));
    return {
      font,
      stroke: () => colour('--quiet'),
      grid: { stroke: () => colour('--line'), width: 1 },
      ticks: { show: false },
      size: isHorizontal ? 30 : 16 + 7 * longest,
      splits: () => [...labels.keys()],
      filter: (plot, values) => (isHorizontal ? thinned(plot, values) : values),
      values: (_, values) => values.map((value) => labels.get(value) ?? ''),
    };
  }

  /** Drops labels that would overlap, but never the last one. */
  function thinned(plot, values) {
    let right = Number.POSITIVE_INFINITY;
    const kept = values.toReversed().map((value) => {
      const at = plot.valToPos(value, 'x');
      if (right - at < minLabelDistance) return null;
      right = at;
      return value;
    });
    return kept.reverse();
  }

  /** Draws the points of a line and, as a vertical line at each, the range over the rounds. */
  function drawPoints(plot, { x, xValues, lines }, index) {
    const line = lines[index - 1];
    if (!line || !plot.series[index].show) return;
    const { ctx } = plot;
    const pixel = devicePixelRatio;
    const shape = new Path2D(line.mark.shape);
    const labelled = new Set(x.ticks.map(([value]) => value));
    ctx.save();
    ctx.fillStyle = ctx.strokeStyle = colour(line.mark.colour);
    ctx.lineWidth = 1.5 * pixel;
    ctx.setLineDash([]); // uPlot leaves the dashes of the line set
    line.values.forEach((value, i) => {
      if (value === null || !labelled.has(xValues[i])) return;
      const left = plot.valToPos(xValues[i], 'x', true);
      const range = line.ranges?.[i];
      if (range) {
        ctx.beginPath();
        for (const end of range) ctx.lineTo(left, plot.valToPos(end, 'y', true));
        ctx.stroke();
      }
      ctx.save();
      ctx.translate(left, plot.valToPos(value, 'y', true));
      ctx.scale(4.5 * pixel, 4.5 * pixel);
      ctx.fill(shape);
      ctx.lineWidth = 0.25;
      ctx.strokeStyle = colour('--card');
      ctx.stroke(shape);
      ctx.restore();
    });
    ctx.restore();
  }

  /** Shows a tooltip beside the cursor with the values there, in the vertical order of the lines. */
  function showTooltip(plot, { xLabels, lines }, tip) {
    const { idx, left } = plot.cursor;
    const shown = lines
      .filter((line, i) => plot.series[i + 1].show && (line.values[idx] ?? null) !== null)
      .sort((a, b) => b.values[idx] - a.values[idx]);
    tip.hidden = !(left >= 0) || shown.length === 0;
    if (tip.hidden) return;
    const title = create('strong', { textContent: xLabels[idx] });
    const rows = shown.map((line) => {
      const one = create('div');
      one.append(swatchOf(plot.root, line), ` ${line.name} ${line.valueLabels[idx]}`);
      return one;
    });
    tip.replaceChildren(title, ...rows);
    const { offsetLeft, clientWidth } = plot.over;
    const [cursor, width] = [offsetLeft + left, tip.offsetWidth];
    const beside = left > clientWidth / 2 ? cursor - 12 - width : cursor + 12;
    tip.style.left = `${Math.max(0, Math.min(beside, plot.root.clientWidth - width))}px`; // within the chart
  }

  function swatchOf(element, { contender }) {
    return element.closest('.scenario').querySelector(`.legend [value="${contender}"] + svg`).cloneNode(true);
  }

  /** Snaps the cursor to the nearest x value. */
  function snapped(plot, { xValues }, left) {
    if (left < 0) return left;
    const lefts = xValues.map((value) => plot.valToPos(value, 'x'));
    return lefts.reduce((best, one) => (Math.abs(one - left) < Math.abs(best - left) ? one : best));
  }

  /** Moves the cursor to the next x value to the left or right. */
  function step(plot, { xValues }, key) {
    const { idx, left } = plot.cursor;
    const from = left >= 0 ? idx : key === 'ArrowLeft' ? xValues.length : -1;
    const to = Math.min(xValues.length - 1, Math.max(0, from + (key === 'ArrowLeft' ? -1 : 1)));
    plot.setCursor({ left: plot.valToPos(xValues[to], 'x'), top: 0 });
  }

  function draw(box) {
    const chart = JSON.parse(box.nextElementSibling.textContent);
    const tip = create('div', { className: 'tip', hidden: true });
    const plot = new uPlot(
      {
        width: box.clientWidth,
        height,
        padding: [12, 18, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          drag: { x: false, y: false },
          points: { show: false },
          move: (plot, left, top) => [snapped(plot, chart, left), top],
        },
        scales: { x: scale(chart.x), y: scale(chart.y) },
        axes: [axis(chart.x, true), axis(chart.y, false)],
        series: [
          {},
          ...chart.lines.map(({ mark }) => ({
            stroke: () => colour(mark.colour),
            width: 2,
            dash: mark.dash.map((length) => length * devicePixelRatio), // uPlot scales only the width
            spanGaps: true,
            points: { show: false },
          })),
        ],
        hooks: {
          drawSeries: [(plot, index) => drawPoints(plot, chart, index)],
          setCursor: [(plot) => showTooltip(plot, chart, tip)],
        },
      },
      [chart.xValues, ...chart.lines.map(({ values }) => values)],
      box,
    );
    box.append(tip);
    new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height })).observe(box);
    const hideCursor = () => plot.setCursor({ left: -10, top: -10 });
    box.addEventListener('blur', hideCursor);
    box.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') hideCursor();
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
      event.preventDefault();
      step(plot, chart, event.key);
    });
    box
      .closest('.scenario')
      .querySelector('.legend')
      .addEventListener('change', ({ target }) => {
        const index = chart.lines.findIndex(({ contender }) => contender === Number(target.value));
        if (index >= 0) plot.setSeries(index + 1, { show: target.checked });
      });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.redraw());
  }

  for (const box of document.querySelectorAll('.chart')) draw(box);
})();
