"use strict";
// Text from apps reaches the page as text nodes alone: nothing here makes HTML
// out of a string, and the page's policy forbids it (require-trusted-types-for).
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const text = data.strings;
  const byId = (id) => document.getElementById(id);
  const keys = ["outlook", "status", "kind", "base", "rule"];
  const chunk = 200; // rows that are added at a time
  const levels = ["blocker", "error", "warning", "note"];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const number = new Intl.NumberFormat("en");

  // Numbers in an app's row stand for strings, which are kept once.
  const apps = data.apps.map((a, index) => ({
    index, raw: a,
    name: text[a.n], source: text[a.s], owner: text[a.o],
    outlook: text[a.ol], label: text[a.lb], status: text[a.st],
    kind: text[a.k], kindText: text[a.kt], base: text[a.b], cause: text[a.y], more: text[a.ym],
    rules: a.r.map((i) => text[i]),
  }));
  const search = apps.map((a) => [a.name, a.source, a.owner, a.label, a.status, a.kind, a.kindText, a.base, a.cause, a.rules.join(" "),
    text[a.raw.e], text[a.raw.im], a.raw.l.map((i) => text[i]).join(" ")].join("\n").toLowerCase());

  const state = { q: "", sort: "name", down: false };
  for (const key of keys) state[key] = "";
  let found = apps;
  let drawn = 0;

  function el(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes || {})) {
      if (k === "onclick") e.addEventListener("click", v);
      else if (v !== false && v !== undefined) e.setAttribute(k, v);
    }
    e.append(...children.filter((c) => c !== null && c !== undefined));
    return e;
  }
  const meaning = Object.fromEntries(data.outlooks.map((o) => [o[0], o[2]]));
  const statusMeaning = Object.fromEntries(data.statuses);
  const pill = (a) => el("span", { class: `pill ${a.outlook}`, title: meaning[a.outlook] }, a.label);
  const isolated = (s) => el("bdi", {}, s);

  // ---- what is shown

  function matches(a, words) {
    return (!state.outlook || a.outlook === state.outlook) && (!state.status || a.status === state.status) &&
      (!state.kind || a.kind === state.kind) && (!state.base || a.base === state.base) &&
      (!state.rule || a.rules.includes(state.rule)) &&
      words.every((word) => search[a.index].includes(word));
  }

  const order = {
    name: () => 0,
    outlook: (a, b) => a.raw.rank - b.raw.rank,
    kind: (a, b) => collator.compare(a.kind, b.kind),
    base: (a, b) => collator.compare(a.base, b.base),
    cause: (a, b) => collator.compare(a.cause, b.cause),
    findings: (a, b) => a.raw.c.reduce((d, n, i) => d || n - b.raw.c[i], 0),
  };

  function update() {
    const words = state.q.toLowerCase().split(/\s+/);
    found = apps.filter((a) => matches(a, words));
    const by = order[state.sort];
    const sign = state.down ? -1 : 1;
    found.sort((a, b) => sign * by(a, b) || (state.sort === "name" ? sign : 1) * (collator.compare(a.name, b.name) || a.index - b.index));
    byId("rows").replaceChildren();
    drawn = 0;
    draw(chunk);
    byId("shown").textContent = found.length === apps.length ? `${number.format(apps.length)} in all`
      : `${number.format(found.length)} of ${number.format(apps.length)}`;
    for (const th of document.querySelectorAll("th[data-sort]")) {
      if (th.dataset.sort === state.sort) th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
    for (const b of document.querySelectorAll("button[data-key]")) {
      b.setAttribute("aria-pressed", String(state[b.dataset.key] === b.dataset.value));
    }
    for (const key of keys) byId(key).value = state[key];
    byId("q").value = state.q;
    remember();
  }

  function draw(count) {
    const end = Math.min(found.length, drawn + count);
    const rows = document.createDocumentFragment();
    for (; drawn < end; drawn++) rows.append(row(found[drawn]));
    byId("rows").append(rows);
    const left = found.length - drawn;
    byId("more").hidden = left === 0;
    byId("more").textContent = `Show ${number.format(Math.min(left, chunk))} more of ${number.format(left)}`;
  }

  function row(a) {
    const under = [a.source, a.owner].filter(Boolean).join(" · ");
    return el("tr", { role: "row", "data-app": a.name },
      el("th", { scope: "row", role: "rowheader" },
        el("button", { type: "button", "aria-haspopup": "dialog", onclick: () => open(a) }, isolated(a.name)),
        under ? el("span", { class: "sub" }, isolated(under)) : null),
      el("td", { role: "cell" }, pill(a), a.raw.ff ? el("span", { class: "sub" }, "and the build failed") : null),
      el("td", { role: "cell" }, a.kindText ? a.kindText : null, a.kind ? el("span", { class: "sub" }, isolated(a.kind)) : null),
      el("td", { role: "cell", title: a.base }, a.base ? isolated(short(a.base)) : null),
      el("td", { role: "cell" }, counts(a)),
      el("td", { role: "cell", title: a.cause }, a.cause ? el("bdi", { class: "clamp" }, a.cause) : null, a.more ? el("span", { class: "sub" }, a.more) : null));
  }

  const short = (reference) => reference.slice(reference.lastIndexOf("/") + 1);

  function counts(a) {
    return a.raw.c.map((n, i) => (n ? `${n} ${levels[i]}${n > 1 ? "s" : ""}` : "")).filter(Boolean).join(", ");
  }

  // ---- one app

  function open(a) {
    const raw = a.raw;
    const facts = [];
    const fact = (name, ...values) => {
      const shown = values.filter(Boolean);
      if (shown.length) facts.push(el("dt", {}, name), el("dd", {}, ...shown.flatMap((v, i) => (i ? [el("br"), isolated(v)] : [isolated(v)]))));
    };
    const strings = (list) => list.map((i) => text[i]);
    fact("Source", a.source);
    fact("Owner", a.owner);
    for (let i = 0; i < raw.l.length; i += 2) fact(text[raw.l[i]], text[raw.l[i + 1]] || " ");
    fact("Status of the last run", a.status + (statusMeaning[a.status] ? `: ${statusMeaning[a.status]}` : ""));
    fact("Error", text[raw.e]);
    fact("Kind", a.kindText ? `${a.kindText} (${a.kind})` : a.kind);
    fact("Framework", text[raw.f]);
    fact("Architecture", text[raw.a]);
    fact("Base image", a.base);
    fact("Why", ...strings(raw.h));
    fact("Starts", text[raw.p]);
    fact("Needs Windows to build", ...strings(raw.x));
    fact("Image", text[raw.im], text[raw.d]);
    const found = raw.g.map((g) => finding(g));
    const problems = raw.u.map((i) => el("li", {}, isolated(text[i])));
    if (raw.um) problems.push(el("li", {}, `and ${number.format(raw.um)} more`));
    const dialog = byId("detail");
    dialog.replaceChildren(
      el("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "×"),
      el("h2", { id: "detail-title" }, isolated(a.name)),
      el("p", {}, pill(a), " ", a.cause && a.outlook !== "failed" ? isolated(a.cause) : null),
      el("p", { class: "sub" }, meaning[a.outlook]),
      el("dl", {}, ...facts),
      ...(found.length ? [el("h3", {}, "Findings"), ...found] : []),
      ...(problems.length ? [el("h3", {}, "Could not be read"), el("ul", { class: "sub" }, ...problems)] : []));
    dialog.scrollTop = 0;
    if (!dialog.open) dialog.showModal();
    state.app = a.name;
    remember();
  }

  function finding([f, evidence, more, accepted]) {
    const [rule, level, message, remedy] = data.findings[f].map((i) => text[i]);
    const places = [];
    for (let i = 0; i < evidence.length; i += 2) {
      places.push(el("li", {}, el("span", { class: "place" }, isolated(text[evidence[i]])), " ", el("span", { class: "sub" }, isolated(text[evidence[i + 1]]))));
    }
    if (more) places.push(el("li", { class: "sub" }, `and ${number.format(more)} more places`));
    return el("div", { class: `finding ${accepted ? "" : level}` },
      el("p", {}, el("span", { class: `level ${accepted ? "note" : level}` }, accepted ? `accepted ${level}` : level), " ",
        el("b", {}, isolated(rule)), " ", isolated(message)),
      accepted ? el("p", { class: "do" }, el("b", {}, "Accepted: "), isolated(text[accepted])) : null,
      remedy ? el("p", { class: "do" }, el("b", {}, "Do: "), isolated(remedy)) : null,
      places.length ? el("ul", {}, ...places) : null);
  }

  // ---- the address: #outlook=blocked&q=shop, so that a view can be pointed at

  function remember() {
    const set = new URLSearchParams();
    for (const key of ["q", ...keys, "app"]) if (state[key]) set.set(key, state[key]);
    if (state.sort !== "name" || state.down) set.set("sort", (state.down ? "-" : "") + state.sort);
    const hash = set.toString() ? `#${set}` : "#";
    if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
  }

  function recall() {
    const set = new URLSearchParams(location.hash.slice(1));
    for (const key of ["q", ...keys, "app"]) state[key] = set.get(key) || "";
    const sort = set.get("sort") || "name";
    state.down = sort.startsWith("-");
    state.sort = Object.hasOwn(order, sort.replace("-", "")) ? sort.replace("-", "") : "name";
    const app = apps.find((a) => a.name === state.app);
    update();
    if (app) open(app);
    else byId("detail").close();
  }

  // ---- controls

  function options(key, entries) {
    const select = byId(key);
    select.append(el("option", { value: "" }, "all"));
    for (const [value, label] of entries) select.append(el("option", { value }, label));
    select.addEventListener("change", () => { state[key] = select.value; update(); });
  }
  const distinct = (key) => [...new Set(apps.map((a) => a[key]).filter(Boolean))].sort(collator.compare);
  options("outlook", data.outlooks.map((o) => [o[0], o[1]]));
  options("status", distinct("status").map((s) => [s, statusMeaning[s] ? `${s}: ${statusMeaning[s]}` : s]));
  const kindText = new Map(apps.map((a) => [a.kind, a.kindText]));
  options("kind", distinct("kind").map((k) => [k, kindText.get(k) ? `${k}: ${kindText.get(k)}` : k]));
  options("base", distinct("base").map((b) => [b, short(b)]));
  options("rule", data.rules.map((r) => [r[0], `${r[0]} ${r[1]}`]));

  for (const b of document.querySelectorAll("button[data-key]")) {
    b.disabled = false;
    b.addEventListener("click", () => {
      const { key, value } = b.dataset;
      if (key === "app") {
        const app = apps.find((a) => a.name === value);
        if (app) open(app);
        return;
      }
      state[key] = state[key] === value ? "" : value;
      update();
    });
  }
  for (const th of document.querySelectorAll("th[data-sort]")) {
    th.firstElementChild.addEventListener("click", () => {
      const key = th.dataset.sort;
      state.down = state.sort === key && !state.down;
      state.sort = key;
      update();
    });
  }
  byId("q").addEventListener("input", () => { state.q = byId("q").value; update(); });
  byId("filters").addEventListener("submit", (e) => e.preventDefault());
  byId("clear").addEventListener("click", (e) => {
    e.preventDefault();
    for (const key of ["q", ...keys]) state[key] = "";
    update();
  });
  byId("more").addEventListener("click", () => draw(chunk));
  new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) draw(chunk); }, { rootMargin: "600px" }).observe(byId("more"));
  byId("detail").addEventListener("close", () => { state.app = ""; remember(); });
  byId("detail").addEventListener("click", (e) => { if (e.target === byId("detail")) byId("detail").close(); });
  const bar = document.querySelector(".apps > .bar"); // the table's head stays below it
  new ResizeObserver(() => document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`)).observe(bar);
  addEventListener("beforeprint", () => draw(found.length)); // paper does not scroll
  addEventListener("hashchange", recall);

  byId("filters").hidden = false;
  byId("table").hidden = false;
  recall();
})();
