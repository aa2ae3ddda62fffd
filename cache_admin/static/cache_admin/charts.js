// Draws each figure's JSON with uPlot; a live page brings new JSON, which takes the old one's place.
"use strict";

{
  const COLOURS = ["good", "bad", "first", "second", "third", "quiet"];
  const drawn = new Map();

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries([...COLOURS, "axis", "grid"].map((name) => [name, style.getPropertyValue(`--chart-${name}`).trim()]));
  }

  function shown(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "ms") return value >= 1000 ? `${(value / 1000).toPrecision(3)} s` : `${Number(value.toPrecision(3))} ms`;
    const short = value >= 1e6 ? `${Number((value / 1e6).toPrecision(3))}M` : value >= 1e4 ? `${Number((value / 1e3).toPrecision(3))}k` : Number(value.toPrecision(3));
    return unit ? `${short} ${unit}` : `${short}`;
  }

  function time(seconds, step) {
    const text = new Date(seconds * 1000).toISOString();
    return step < 900 ? text.slice(11, 16) : step < 3600 && !text.includes("T00:00") ? text.slice(11, 16) : `${text.slice(5, 10)} ${text.slice(11, 16)}`;
  }

  function columns(data) {
    return [data.x, ...data.series.map((series) => series.values)];
  }

  function draw(figure, data) {
    const place = figure.querySelector(".plot");
    const colour = colours();
    const axis = { stroke: colour.axis, grid: { stroke: colour.grid, width: 1 }, ticks: { stroke: colour.grid, size: 4 }, font: "11px system-ui" };
    const options = {
      width: place.clientWidth,
      height: 140,
      // As everywhere in the console: the times of servers, not of the browser.
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { live: true },
      cursor: { points: { size: 5 }, drag: { x: true, y: false } },
      scales: { y: { range: (plot, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      axes: [
        { ...axis, space: 70, size: 26, values: (plot, ticks) => ticks.map((tick) => time(tick, data.step)) },
        { ...axis, size: 56, space: 28, values: (plot, ticks) => ticks.map((tick) => shown(tick, data.unit)) },
      ],
      series: [
        { label: "at", value: (plot, seconds) => (seconds ? time(seconds, data.step) : "–") },
        ...data.series.map((series) => ({
          label: series.label,
          stroke: colour[series.kind],
          width: 1.5,
          fill: data.series.length === 1 || series.kind === "bad" ? `${colour[series.kind]}22` : undefined,
          points: { show: false },
          value: (plot, value) => shown(value, data.unit),
        })),
      ],
    };
    const plot = new uPlot(options, columns(data), place);
    drawn.get(figure)?.destroy();
    drawn.set(figure, plot);
  }

  function drawAll() {
    for (const figure of document.querySelectorAll(".chart")) {
      draw(figure, JSON.parse(figure.querySelector("script").textContent));
    }
  }

  document.addEventListener("console:fresh", (event) => {
    for (const [figure, plot] of drawn) {
      const newer = event.detail.getElementById(figure.id);
      if (newer) plot.setData(columns(JSON.parse(newer.querySelector("script").textContent)));
    }
  });
  addEventListener("resize", () => {
    for (const [figure, plot] of drawn) plot.setSize({ width: figure.querySelector(".plot").clientWidth, height: 140 });
  });
  // The theme is an attribute, or the system's wish: both change colours that are drawn already.
  new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll();
}
