// The interactive part of a profile: a zoomable timeline, series over time, search. Plain script, nothing loaded.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("timeline");
  const tip = document.getElementById("tip");
  const box = document.getElementById("search");
  const found = document.getElementById("found");
  const context = canvas.getContext("2d");
  const LEFT = 150, ROW = 22, SERIES = 56, AXIS = 20;
  const end = Math.max(data.end, 1);
  let from = 0, to = end, query = "", hits = [], hit = -1, drawn = 0;

  // Intervals by track, in order of their start, so that only what is visible is drawn.
  const rows = data.tracks.map(() => ({ spans: [], stalls: [], hits: [] }));
  data.spans.forEach((s) => rows[s[0]].spans.push(s));
  data.stalls.forEach((s) => rows[s[0]].stalls.push(s));
  const used = data.tracks.map((_, i) => i).filter((i) => rows[i].spans.length > 0);
  const height = AXIS + used.length * ROW + data.series.length * SERIES + 8;

  const color = (name) => {
    let hash = 0;
    for (const c of name) hash = (hash * 31 + c.charCodeAt(0)) >>> 0;
    return `hsl(${hash % 360} 55% 62%)`;
  };
  const colors = data.names.map(color);
  const time = (ns) => (ns >= 1e6 ? (ns / 1e6).toFixed(3) + " ms" : ns >= 1e3 ? (ns / 1e3).toFixed(3) + " us" : ns.toFixed(1) + " ns");
  // Whether an interval is looked for; texts are compared once for all intervals that have them.
  let named = [], from_source = [];
  const matches = (s) => named[s[1]] || from_source[s[6]];
  const x = (ns) => LEFT + ((ns - from) / (to - from)) * (canvas.clientWidth - LEFT);
  const at = (px) => from + ((px - LEFT) / (canvas.clientWidth - LEFT)) * (to - from);

  // First index whose interval may reach `ns`; intervals of one row are in order of start and nearly of end.
  const first = (list, start, ns) => {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle][start] < ns) low = middle + 1; else high = middle;
    }
    return Math.max(0, low - 64);
  };

  // First index from `low` on whose interval starts at `ns` or later.
  const after = (list, start, ns, low) => {
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle][start] < ns) low = middle + 1; else high = middle;
    }
    return low;
  };

  // Draws what can be seen of a row: whatever starts in a pixel that is full already is passed over by a search, so that the work
  // depends on the width of the canvas and not on the number of intervals.
  function bars(list, start, top, tall, fill) {
    const width = canvas.clientWidth, scale = (width - LEFT) / (to - from);
    let last = -1;
    for (let i = first(list, start, from); i < list.length && list[i][start] < to; i++) {
      const s = list[i], left = Math.max(LEFT + (s[start] - from) * scale, LEFT), right = LEFT + (s[start] + s[start + 1] - from) * scale;
      if (right < LEFT) continue;
      if (right <= last && right - left < 1) {
        i = after(list, start, from + (last - LEFT) / scale, i + 1) - 1;
        continue;
      }
      context.fillStyle = fill(s);
      context.fillRect(left, top, Math.max(right - left, 0.7), tall);
      last = Math.max(right, left + 0.7);
      drawn++;
    }
  }

  function draw() {
    drawn = 0;
    const scale = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = height * scale;
    canvas.style.height = height + "px";
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, height);
    context.font = "12px system-ui, sans-serif";
    const step = 10 ** Math.floor(Math.log10((to - from) / 4));
    context.fillStyle = "#52606d";
    for (let t = Math.ceil(from / step) * step, n = 0; t <= to && n < 60; t += step, n++) {
      context.fillRect(x(t), AXIS - 5, 1, 5);
      if (n % 5 === 0) context.fillText(time(t), x(t) + 3, AXIS - 8);
    }
    used.forEach((track, i) => {
      const top = AXIS + i * ROW;
      context.fillStyle = i % 2 ? "#f7f9fb" : "#ffffff";
      context.fillRect(0, top, canvas.clientWidth, ROW);
      bars(rows[track].stalls, 1, top + 16, 3, () => "#e8590c");
      bars(rows[track].spans, 2, top + 3, 12, query ? () => "#e4e7eb" : (s) => colors[s[1]]);
      if (query) bars(rows[track].hits, 2, top + 3, 12, (s) => colors[s[1]]);
      context.fillStyle = "#1f2933";
      context.fillText(data.tracks[track], 4, top + 14, LEFT - 8);
    });
    data.series.forEach((series, i) => {
      const top = AXIS + used.length * ROW + i * SERIES + 6, tall = SERIES - 14;
      const most = Math.max(series.limit || 0, ...series.values, 1e-9);
      context.fillStyle = "#d0ebff";
      series.values.forEach((value, bin) => {
        const left = Math.max(x(bin * series.width), LEFT), right = x((bin + 1) * series.width);
        if (right < LEFT || left > canvas.clientWidth) return;
        const high = (value / most) * tall;
        context.fillRect(left, top + tall - high, Math.max(right - left, 0.7), high);
      });
      context.fillStyle = "#1f2933";
      context.fillText(series.name, 4, top + 12, LEFT - 8);
      context.fillText("of " + most.toPrecision(3) + " " + series.unit, 4, top + 26, LEFT - 8);
    });
    // What a test, or another script, may ask for.
    canvas.dataset.from = from.toFixed(0);
    canvas.dataset.to = to.toFixed(0);
    canvas.dataset.drawn = String(used.length);
    canvas.dataset.bars = String(drawn);
  }

  function zoom(a, b) {
    const width = Math.min(Math.max(b - a, 1), end);
    from = Math.min(Math.max(a, 0), end - width);
    to = from + width;
    draw();
  }

  function search(text) {
    query = text.trim().toLowerCase();
    [named, from_source] = [data.names, data.sources].map((texts) => texts.map((t) => t.toLowerCase().includes(query)));
    hits = query ? data.spans.filter(matches) : [];
    rows.forEach((row) => { row.hits = []; });
    hits.forEach((s) => rows[s[0]].hits.push(s));
    hit = -1;
    const sum = hits.reduce((total, s) => total + s[3], 0);
    found.textContent = query ? `${hits.length} found, ${time(sum)} together` : "";
    found.dataset.count = String(hits.length);
    draw();
  }

  function next() {
    if (!hits.length) return;
    hit = (hit + 1) % hits.length;
    const s = hits[hit], margin = Math.max(s[3] * 10, 500);
    zoom(s[2] - margin, s[2] + s[3] + margin);
  }

  function describe(px, py) {
    const row = Math.floor((py - AXIS) / ROW), ns = at(px);
    if (row < 0 || row >= used.length || px < LEFT) return "";
    const { spans, stalls } = rows[used[row]];
    const slack = (to - from) / (canvas.clientWidth - LEFT);
    const inside = (start, s) => ns >= s[start] - slack && ns <= s[start] + s[start + 1] + slack;
    for (let i = first(spans, 2, ns); i < spans.length && spans[i][2] <= ns + slack; i++) {
      const s = spans[i];
      if (py - AXIS - row * ROW < 16 && inside(2, s)) {
        return `${data.names[s[1]]}, instruction ${s[5]}\n${time(s[2])} + ${time(s[3])}` + (s[4] ? `\n${s[4]} B, ${(s[4] / s[3]).toFixed(1)} GB/s` : "") + `\n${data.sources[s[6]]}`;
      }
    }
    for (let i = first(stalls, 1, ns); i < stalls.length && stalls[i][1] <= ns + slack; i++) {
      if (inside(1, stalls[i])) return `waits ${time(stalls[i][2])}\n${data.reasons[stalls[i][3]]}`;
    }
    return "";
  }

  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const centre = at(event.offsetX), factor = event.deltaY > 0 ? 1.25 : 0.8;
    zoom(centre - (centre - from) * factor, centre + (to - centre) * factor);
  }, { passive: false });
  canvas.addEventListener("mousedown", (event) => { drag = { px: event.offsetX, from, to }; });
  window.addEventListener("mouseup", () => { drag = null; });
  canvas.addEventListener("mousemove", (event) => {
    if (drag) {
      const moved = ((event.offsetX - drag.px) / (canvas.clientWidth - LEFT)) * (drag.to - drag.from);
      zoom(drag.from - moved, drag.to - moved);
      return;
    }
    const text = describe(event.offsetX, event.offsetY);
    tip.textContent = text;
    tip.style.display = text ? "block" : "none";
    tip.style.left = Math.min(event.pageX + 14, document.body.clientWidth - 320) + "px";
    tip.style.top = event.pageY + 14 + "px";
  });
  canvas.addEventListener("mouseleave", () => { tip.style.display = "none"; });
  canvas.addEventListener("dblclick", () => zoom(0, end));
  box.addEventListener("input", () => search(box.value));
  box.addEventListener("keydown", (event) => { if (event.key === "Enter") next(); });
  document.getElementById("all").addEventListener("click", () => zoom(0, end));
  window.addEventListener("resize", draw);
  window.ferrite = { zoom, search, next };

  // A view can be linked to: #zoom=0.25,0.5&search=MATMUL (shares of the whole time).
  const wanted = new URLSearchParams(location.hash.slice(1));
  const range = (wanted.get("zoom") || "").split(",").map(Number);
  if (range.length === 2 && range[0] < range[1]) { from = range[0] * end; to = range[1] * end; }
  if (wanted.get("search")) { box.value = wanted.get("search"); search(box.value); } else { draw(); }
})();
