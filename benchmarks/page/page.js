// Adds what a reader's hand can do: unfolding, sorting, copying, and reading values off the charts.
// The page is whole without it.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  function make(tag, properties, parent) {
    const element = Object.assign(document.createElement(tag), properties);
    if (parent) parent.append(element);
    return element;
  }

  // ------------------------------------------------------------------ tables

  // A cell without data-value has no score; it sorts last in either direction.
  function valueOf(body, column, kind) {
    const text = body.rows[0].cells[column].dataset.value;
    return kind === "number" ? (text === "" ? null : Number(text)) : text;
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * (a < b ? -1 : a > b ? 1 : 0);
  }

  function sort(table, column) {
    const heads = [...table.tHead.rows[0].cells];
    const head = heads[column];
    const kind = head.dataset.sort;
    const first = kind === "number" ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    const bodies = [...table.tBodies];
    const keys = new Map(bodies.map((body) => [body, valueOf(body, column, kind)]));
    bodies.sort((a, b) => compare(keys.get(a), keys.get(b), sign));
    table.append(...bodies);
    heads.forEach((each) => each.setAttribute("aria-sort", each === head ? order : "none"));
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", { type: "button" });
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
      head.setAttribute("aria-sort", "none");
    });
  }

  function fold(button, open) {
    button.setAttribute("aria-expanded", String(open));
    document.getElementById(button.getAttribute("aria-controls")).classList.toggle("folded", !open);
  }

  function makeFoldable(table) {
    const buttons = all(".detail", table).map((detail) => {
      const head = detail.previousElementSibling.cells[0];
      const button = make("button", { type: "button", className: "unfold" });
      button.append(...head.childNodes);
      button.setAttribute("aria-controls", detail.id);
      button.addEventListener("click", () => fold(button, button.getAttribute("aria-expanded") !== "true"));
      head.append(button);
      fold(button, false);
      return button;
    });
    const every = make("button", { type: "button", className: "plain", textContent: "Show every seed" });
    every.setAttribute("aria-expanded", "false");
    every.addEventListener("click", () => {
      const open = every.getAttribute("aria-expanded") !== "true";
      buttons.forEach((button) => fold(button, open));
      every.setAttribute("aria-expanded", String(open));
      every.textContent = open ? "Hide the seeds" : "Show every seed";
    });
    table.closest(".scroll").before(every);
  }

  // ------------------------------------------------------------------ charts

  const number = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const whole = new Intl.NumberFormat("en-US");

  // Points in user units, series by series: [{x, y, series, name, text}]
  function pointsOf(chart) {
    const place = ([low, high, start, end], value) => start + ((value - low) / (high - low)) * (end - start);
    return chart.series.map(({ name, x, y, at, text }, series) =>
      at
        ? at.map(([left, top], k) => ({ x: left, y: top, series, name, text: text[k] }))
        : x.map((frames, k) => ({
            x: place(chart.scale.x, frames),
            y: place(chart.scale.y, y[k]),
            series,
            name,
            text: `${chart.unit} ${number.format(y[k])} at ${whole.format(frames)} frames`,
          })),
    );
  }

  const tip = make("div", { id: "tip", hidden: true }, document.body);
  tip.setAttribute("aria-hidden", "true"); // the chart itself says it, as its value
  const tipName = make("strong", {}, tip);
  const tipText = make("span", {}, tip);

  function showTip(svg, point) {
    const matrix = svg.getScreenCTM();
    const left = matrix.a * point.x + matrix.e;
    const top = matrix.d * point.y + matrix.f;
    tipName.textContent = point.name;
    tipText.textContent = point.text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - width - 8;
    const above = top - height - 12;
    tip.style.left = `${Math.max(8, Math.min(left - width / 2, room)) + window.scrollX}px`;
    tip.style.top = `${(above > 4 ? above : top + 14) + window.scrollY}px`;
  }

  function makeReadable(plot, chart) {
    const svg = plot.querySelector("svg");
    const series = pointsOf(chart).filter((points) => points.length);
    const flat = series.flat();
    if (!flat.length) return;
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("r", "4");
    let current = null;

    function show(point) {
      current = point;
      cursor.setAttribute("cx", point.x);
      cursor.setAttribute("cy", point.y);
      svg.append(cursor);
      all("[data-series]", svg).forEach((e) => e.classList.toggle("lit", Number(e.dataset.series) === point.series));
      plot.setAttribute("aria-valuenow", String(flat.indexOf(point) + 1));
      plot.setAttribute("aria-valuetext", `${point.name}, ${point.text}`);
      showTip(svg, point);
    }

    function hide() {
      cursor.remove();
      all(".lit", svg).forEach((e) => e.classList.remove("lit"));
      tip.hidden = true;
    }

    const least = (points, distance) => points.reduce((best, p) => (distance(p) < distance(best) ? p : best));

    function follow(event) {
      const inverse = svg.getScreenCTM().inverse();
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(inverse);
      show(least(flat, (p) => Math.hypot(p.x - at.x, p.y - at.y)));
    }

    // Left and right along a series; up and down to the next one, at the same place.
    function step(key) {
      const row = series.findIndex((points) => points.includes(current));
      const column = series[row].indexOf(current);
      const other = series[(row + (key === "ArrowDown" ? 1 : series.length - 1)) % series.length];
      const places = {
        ArrowRight: Math.min(column + 1, series[row].length - 1),
        ArrowLeft: Math.max(column - 1, 0),
        Home: 0,
        End: series[row].length - 1,
      };
      if (key in places) return series[row][places[key]];
      return key === "ArrowUp" || key === "ArrowDown" ? least(other, (p) => Math.abs(p.x - current.x)) : null;
    }

    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const next = event.ctrlKey || event.metaKey || event.altKey ? null : step(event.key);
      if (!next) return;
      event.preventDefault();
      show(next);
    });
    plot.addEventListener("focus", () => plot.matches(":focus-visible") && show(current));
    plot.addEventListener("blur", hide);
    plot.addEventListener("pointermove", follow);
    plot.addEventListener("pointerdown", follow);
    plot.addEventListener("pointerleave", hide);

    // A slider is what screen readers let arrow keys through to, and whose value they speak.
    plot.tabIndex = 0;
    plot.setAttribute("role", "slider");
    plot.setAttribute("aria-label", `${svg.getAttribute("aria-label")}: read values with the arrow keys`);
    plot.setAttribute("aria-valuemin", "1");
    plot.setAttribute("aria-valuemax", String(flat.length));
    current = series[series.length - 1].at(-1);
    plot.setAttribute("aria-valuenow", String(flat.length));
    plot.setAttribute("aria-valuetext", `${current.name}, ${current.text}`);
  }

  // ------------------------------------------------------------------ commands, paper

  function makeCopyable(block) {
    const button = make("button", { type: "button", className: "plain copy", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy the command: ${block.getAttribute("aria-label")}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not allowed";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    block.parentElement.append(button);
  }

  // Only what can be scrolled needs the keyboard.
  function keepInTabOrder(block) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
    else block.removeAttribute("tabindex");
  }

  function openForPaper() {
    const closed = all("details:not([open])");
    closed.forEach((details) => (details.open = true));
    window.addEventListener("afterprint", () => closed.forEach((details) => (details.open = false)), { once: true });
  }

  const data = JSON.parse(document.getElementById("data").textContent);
  all(".sortable").forEach(makeSortable);
  all(".games").forEach(makeFoldable);
  all(".plot").forEach((plot) => makeReadable(plot, data[plot.dataset.chart]));
  if (navigator.clipboard) all(".steps pre").forEach(makeCopyable);
  const blocks = new ResizeObserver((entries) => entries.forEach((entry) => keepInTabOrder(entry.target)));
  all(".scroll, pre").forEach((block) => blocks.observe(block));
  window.addEventListener("beforeprint", openForPaper);
})();
