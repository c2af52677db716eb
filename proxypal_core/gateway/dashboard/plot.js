// uPlot in the page's own colours. A plot never stands alone: its numbers are in a table beside it.
import { html, useEffect, useRef } from "./lib.js";

const HEIGHT = 220;
const FEWEST = 7; // steps
const ROOM = 90; // pixels that a time needs

/** The colour that *name* has in the theme that is on: a canvas knows no variables. */
function colour(place, name) {
  place.style.color = `var(${name})`;
  return getComputedStyle(place).color;
}

/**
 * Bars over time. `times` are Unix seconds, `series` are `{label, values, shown, round}`, where `shown`
 * makes text of a value, `round` of one at the axis, and `shownTime` of a time. A bar stands for
 * `step` seconds.
 */
export function Plot({ label, times, series, scheme, step, shownTime }) {
  const place = useRef(null);
  useEffect(() => {
    const home = place.current;
    const width = () => Math.max(240, home.clientWidth);
    const plot = new uPlot(options({ place: home, width: width(), times, series, step, shownTime }), [times, ...series.map((one) => one.values)], home);
    const watch = new ResizeObserver(() => plot.setSize({ width: width(), height: HEIGHT }));
    watch.observe(home);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [times, series, scheme]);
  return html`<div class="plot" role="img" aria-label=${label} ref=${place}></div>`;
}

/** The beginnings of steps, as many as there is room for; the last one is among them. */
function ticks(first, last, step, most) {
  const every = step * Math.ceil((last - first) / step / most);
  const all = [];
  for (let at = last; at >= first; at -= every) all.unshift(at);
  return all;
}

function options({ place, width, times, series, step, shownTime }) {
  const text = colour(place, "--muted");
  const grid = { stroke: colour(place, "--line"), width: 1 };
  const axis = { stroke: text, grid, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const last = times.at(-1);
  const first = Math.min(times[0], last - (FEWEST - 1) * step); // one bar alone is as wide as others
  const scales = { x: { time: true, range: () => [first - step / 2, last + step / 2] } };
  series.forEach((_, at) => {
    scales[`y${at}`] = { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] };
  });
  return {
    width,
    height: HEIGHT,
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { live: true },
    scales,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    axes: [
      { ...axis, size: 28, grid: { show: false }, splits: (plot) => ticks(first, last, step, plot.width / ROOM), values: (_, times) => times.map(shownTime) },
      ...series.map((one, at) => ({
        ...axis,
        scale: `y${at}`,
        side: at === 0 ? 3 : 1,
        grid: at === 0 ? grid : { show: false },
        size: 64,
        values: (_, values) => values.map(one.round ?? one.shown),
      })),
    ],
    series: [
      { label: "When", value: (_, at) => (at == null ? "–" : shownTime(at)) },
      ...series.map((one, at) => ({
        label: one.label,
        scale: `y${at}`,
        stroke: colour(place, at === 0 ? "--accent-soft" : "--second"),
        fill: at === 0 ? colour(place, "--accent-soft") : undefined,
        width: at === 0 ? 0 : 2,
        points: { show: at > 0 || one.values.length < 3 },
        paths: at === 0 ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined,
        value: (_, value) => (value == null ? "–" : one.shown(value)),
      })),
    ],
  };
}
