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
  const ratio = (r) => !Number.isFinite(r) ? "–" : r >= 100 ? `${r.toFixed(0)}×` : `${significant(r)}×`;
  const place = (p) => (100 * Math.min(1, Math.max(0, 1 + Math.log10(Math.max(p, 1e-3)) / 3))).toFixed(1);

  // Columns of all pairs, in whole ten-millionths, the likeliest onset of the first year first.
  const SCALE = 1e7, STATUSES = ["at peace", "ended", "under way"], UNDER_WAY = 2;
  const data = JSON.parse($("data").textContent);
  const body = $("risks").tBodies[0];
  const view = { level: data.levels[0], horizon: 0, key: "p", sign: -1, limit: 25 };
  const WORDS = {
    deaths_25: "that comes to more than 25 deaths of the two",
    fighting: "that comes to more than 25 deaths, or is under way with more than 25,",
    onset: "of any kind",
  };
  // Fighting is the leading level where nothing is under way.
  const level = () => Math.max(0, data.levels.indexOf(view.level));
  const going = (i) => view.level === "fighting" ? data.f[i]?.[view.horizon] : undefined;
  const value = (key, i) => going(i)?.["plu".indexOf(key)] ?? data[key][level()][view.horizon][i];
  const start = $("span").textContent.match(/\d{4}/)[0];
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ");
  // Names to search in, and their alphabetical ranks.
  const spoken = data.states.map(([name, codes]) => ` ${plain(`${name} ${codes}`)}`);
  const collator = new Intl.Collator("en");
  const rank = [];
  data.states.map((_, i) => i).sort((x, y) => collator.compare(data.states[x][0], data.states[y][0]))
    .forEach((state, place) => { rank[state] = place; });
  const named = (i) => `${data.states[data.a[i]][0]} – ${data.states[data.b[i]][0]}`;
  const base = (i) => data.classes[data.k[i]][1][level()][view.horizon];
  const change = (i) => data.c === null || view.level !== "onset" ? null : data.c[view.horizon][i];

  const cell = (text, name = "") => {
    const td = document.createElement("td");
    td.textContent = text;
    if (name) td.className = name;
    return td;
  };
  const row = (i) => {
    const [p, lower, upper] = ["p", "l", "u"].map((key) => value(key, i) / SCALE);
    const rate = base(i) / SCALE, changed = change(i), date = data.d[i];
    const tr = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = named(i);
    const bars = cell("", "bars");
    const range = document.createElement("span");
    range.className = "range";
    for (const [name, value] of Object.entries({ l: lower, p, u: upper, b: rate })) {
      range.style.setProperty(`--${name}`, place(value));
    }
    bars.append(range);
    const status = cell(STATUSES[data.o[i]]);
    let chance = cell(percent(p), "n");
    if (data.o[i] === UNDER_WAY) {
      const still = data.w[i]?.[view.horizon];
      status.textContent = `under way${date ? ` since ${date}` : ""}${
        still === undefined ? "" : `; still at the end: ${percent(still / SCALE)}`}`;
      if (going(i) === undefined) {
        const mark = document.createElement("abbr");
        mark.textContent = "further";
        mark.title = "A conflict of the two is under way: this is the probability of a further one beside it";
        chance = cell("", "n");
        chance.append(mark, ` ${percent(p)}`);
      }
    } else if (date) {
      const day = document.createElement("span");
      day.className = "day";
      day.textContent = date;
      status.append(" ", day);
    }
    tr.append(head, chance, cell(`${percent(lower).replace("%", "")}–${percent(upper)}`, "n"),
      bars, cell(going(i) ? "–" : percent(rate), "n"), cell(going(i) ? "–" : ratio(p / rate), "n"), cell(data.classes[data.k[i]][0]), status,
      cell(points(changed === null ? null : changed / SCALE), "n"));
    return tr;
  };
  const values = {
    pair: (i) => rank[data.a[i]] * rank.length + rank[data.b[i]],
    p: (i) => value("p", i),
    l: (i) => value("l", i),
    base: (i) => going(i) ? null : base(i),
    ratio: (i) => base(i) && !going(i) ? value("p", i) / base(i) : null,
    k: (i) => data.k[i],
    o: (i) => data.o[i],
    c: change,
  };
  const draw = () => {
    const words = plain($("text").value).split(" ").filter(Boolean);
    const hits = words.map((word) => spoken.map((text) => text.includes(` ${word}`)));
    const region = $("region").value, relevance = $("relevance").value, status = $("standing").value;
    const within = data.states.map((state) => !region || state[2] === region);
    const found = [];
    for (let i = 0; i < data.a.length; i++) {
      const a = data.a[i], b = data.b[i], state = data.o[i];
      // A name looks among all pairs: whoever asks for one by name must find it.
      if (status === "" ? state === UNDER_WAY && !words.length && view.level !== "fighting" : status !== "all" && state !== Number(status)) continue;
      if (relevance && data.v[i] !== Number(relevance)) continue;
      if (!within[a] && !within[b]) continue;
      if (hits.every((hit) => hit[a] || hit[b])) found.push(i);
    }
    const key = found.map(values[view.key]), p = values.p;
    const order = found.map((_, j) => j).sort((x, y) => {
      if (key[x] === null || key[y] === null) return (key[x] === null) - (key[y] === null);
      return view.sign * (key[x] - key[y]) || p(found[y]) - p(found[x]) || found[x] - found[y];
    });
    body.replaceChildren(...order.slice(0, view.limit).map((j) => row(found[j])));
    const shown = Math.min(view.limit, found.length);
    $("shown").textContent = `${shown} of ${found.length.toLocaleString("en").replace(/,/g, "\u202f")} pairs shown.`;
    $("more").hidden = found.length <= view.limit;
    const years = data.horizons[view.horizon];
    $("span").textContent = years === 1 ? `in ${start}` : `in ${start}–${Number(start) + years - 1}`;
  };
  const reset = () => { view.limit = 25; draw(); };
  for (const button of document.querySelectorAll("#risks thead button")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key;
      view.sign = key === view.key ? -view.sign : key === "pair" || key === "k" ? 1 : -1;
      view.key = key;
      for (const th of document.querySelectorAll("#risks thead th[aria-sort]")) th.setAttribute("aria-sort", "none");
      button.closest("th").setAttribute("aria-sort", view.sign > 0 ? "ascending" : "descending");
      draw();
    });
  }
  for (const input of document.querySelectorAll("input[name=horizon]")) {
    input.addEventListener("change", () => { view.horizon = Number(input.value); reset(); });
  }
  for (const input of document.querySelectorAll("input[name=level]")) {
    input.addEventListener("change", () => {
      view.level = input.value;
      $("of").textContent = WORDS[view.level];
      reset();
    });
  }
  $("text").addEventListener("input", reset);
  for (const id of ["region", "relevance", "standing"]) $(id).addEventListener("change", reset);
  $("more").addEventListener("click", () => { view.limit += 25; draw(); });
  draw();

  // Map: pointer or arrow keys.
  const map = $("world"), tip = $("tip");
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
  for (const svg of map.querySelectorAll("svg")) {
    const shapes = [...svg.querySelectorAll("[data-rank]")].sort((a, b) => a.dataset.rank - b.dataset.rank);
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
  }
  for (const input of document.querySelectorAll("input[name=map-level]")) {
    input.addEventListener("change", () => {
      show(null);
      for (const one of map.querySelectorAll("[data-level]")) one.hidden = one.dataset.level !== input.value;
    });
  }
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
