"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;

  // Theme: the reader's choice wins over the system's and is kept where the browser allows it.
  const keep = (value) => { try { localStorage.setItem("theme", value); } catch { /* file:// */ } };
  let known = null;
  try { known = localStorage.getItem("theme"); } catch { /* no storage */ }
  if (known === "light" || known === "dark") root.dataset.theme = known;
  $("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    keep(root.dataset.theme);
  });

  // Numbers as in the rest of the page: two significant digits.
  const significant = (v, digits = 2) => {
    if (v === 0) return "0";
    const whole = Number(v.toPrecision(digits));
    return whole.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(whole)))));
  };
  const percent = (p) => p < 1e-4 ? (p === 0 ? "0%" : "<0.01%")
    : p > 0.995 ? `${(100 * p).toFixed(1)}%` : `${significant(100 * p)}%`;
  const points = (d) => {
    if (d === null) return "–";
    const v = Math.abs(100 * d);
    if (v < 0.005) return "0";
    return (d > 0 ? "+" : "−") + significant(v, v < 0.1 ? 1 : 2);
  };
  const ratio = (r) => r >= 100 ? `${r.toFixed(0)}×` : `${significant(r)}×`;
  const place = (p) => (100 * Math.min(1, Math.max(0, (Math.log10(Math.max(p, 1e-3)) + 3) / 3))).toFixed(1);

  const { horizons, pairs } = JSON.parse($("data").textContent);
  const body = $("risks").tBodies[0];
  const view = { horizon: 0, key: "0", sign: -1, limit: 25 };
  const spans = [...document.querySelectorAll("input[name=horizon]")];
  const start = $("span").textContent.match(/\d{4}/)[0];

  const cell = (text, name = "") => {
    const td = document.createElement("td");
    td.textContent = text;
    if (name) td.className = name;
    return td;
  };
  const row = (pair) => {
    const [p, lower, upper, base, relative, change, still] = pair.p[view.horizon];
    const tr = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = `${pair.a} – ${pair.b}`;
    const bars = cell("", "bars");
    const range = document.createElement("span");
    range.className = "range";
    for (const [name, value] of Object.entries({ l: lower, p, u: upper, b: base })) {
      range.style.setProperty(`--${name}`, place(value));
    }
    bars.append(range);
    const status = cell("");
    if (still !== null) {
      const mark = document.createElement("abbr");
      mark.textContent = `${pair.o}: ${percent(still)}`;
      mark.title = "Probability that it still is at the end of these years";
      status.append(mark);
    } else status.textContent = pair.o;
    tr.append(head, cell(percent(p), "n"), cell(`${percent(lower).replace("%", "")}–${percent(upper)}`, "n"),
      bars, cell(percent(base), "n"), cell(ratio(relative), "n"), cell(pair.s), status, cell(points(change), "n"));
    return tr;
  };
  const value = (pair) => {
    if (view.key === "pair") return `${pair.a} ${pair.b}`;
    if (view.key === "s") return pair.s;
    if (view.key === "o") return ["at peace", "ended", "under way"].indexOf(pair.o);
    return pair.p[view.horizon][Number(view.key)];
  };
  const compare = (x, y) => {
    const a = value(x), b = value(y);
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
    return view.sign * order || y.p[view.horizon][0] - x.p[view.horizon][0];
  };
  const draw = () => {
    const words = $("text").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const region = $("region").value;
    const fresh = $("fresh").checked;
    const found = pairs.filter((pair) => {
      const name = `${pair.a} ${pair.b}`.toLowerCase();
      return words.every((word) => name.includes(word))
        && (!region || pair.r.includes(region)) && !(fresh && pair.o === "under way");
    }).sort(compare);
    body.replaceChildren(...found.slice(0, view.limit).map(row));
    const shown = Math.min(view.limit, found.length);
    $("shown").textContent = `${shown} of ${found.length.toLocaleString("en").replace(/,/g, "\u202f")} pairs shown.`;
    $("more").hidden = found.length <= view.limit;
    const years = horizons[view.horizon];
    $("span").textContent = years === 1 ? `in ${start}` : `in ${start}–${Number(start) + years - 1}`;
  };
  const reset = () => { view.limit = 25; draw(); };
  for (const button of document.querySelectorAll("#risks thead button")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key;
      view.sign = key === view.key ? -view.sign : key === "pair" || key === "s" ? 1 : -1;
      view.key = key;
      for (const th of document.querySelectorAll("#risks thead th[aria-sort]")) th.setAttribute("aria-sort", "none");
      button.closest("th").setAttribute("aria-sort", view.sign > 0 ? "ascending" : "descending");
      draw();
    });
  }
  for (const input of spans) {
    input.addEventListener("change", () => { view.horizon = Number(input.value); reset(); });
  }
  $("text").addEventListener("input", reset);
  $("region").addEventListener("change", reset);
  $("fresh").addEventListener("change", reset);
  $("more").addEventListener("click", () => { view.limit += 25; draw(); });
  draw();

  // Map: pointer or arrow keys.
  const map = $("world"), tip = $("tip"), svg = map.querySelector("svg");
  const shapes = [...svg.querySelectorAll("[data-rank]")].sort((a, b) => a.dataset.rank - b.dataset.rank);
  let current = null;
  const show = (shape) => {
    current?.classList.remove("on");
    current = shape;
    tip.hidden = !shape;
    if (!shape) return;
    shape.classList.add("on");
    const name = document.createElement("b");
    name.textContent = shape.dataset.name;
    tip.replaceChildren(name, shape.dataset.none ?? shape.dataset[`h${map.dataset.h}`]);
    const box = shape.getBoundingClientRect(), frame = map.getBoundingClientRect();
    const left = box.left + box.width / 2 - frame.left - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(0, Math.min(frame.width - tip.offsetWidth, left))}px`;
    const above = box.top - frame.top - tip.offsetHeight - 6;
    tip.style.top = `${above > 0 ? above : box.bottom - frame.top + 6}px`;
  };
  svg.addEventListener("pointerover", (event) => {
    const shape = event.target.closest("[data-name]");
    if (shape) show(shape);
  });
  svg.addEventListener("pointerleave", () => show(null));
  svg.addEventListener("blur", () => show(null));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") show(null);
    if (!step) return;
    event.preventDefault();
    const at = shapes.indexOf(current);
    show(shapes[(at + step + shapes.length + (at < 0 && step < 0 ? 1 : 0)) % shapes.length]);
  });
  for (const input of document.querySelectorAll("input[name=year]")) {
    input.addEventListener("change", () => { map.dataset.h = input.value; });
  }

  // Paper cannot be opened: everything is, while it prints.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const item of opened) item.open = true;
  });
  addEventListener("afterprint", () => { for (const item of opened) item.open = false; });
})();
