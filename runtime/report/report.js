// What the page does beyond showing: series on and off, tooltips, dark and light. It computes no number: a
// tooltip says what the table under its figure says, and that table is what the figure was drawn with.
(() => {
  const REACH = 26; // pixels from the pointer to the point that it means
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, kind, text) => {
    const node = document.createElement(name);
    if (kind) node.className = kind;
    if (text) node.textContent = text;
    return node;
  };
  const figures = all("figure");

  // --- Dark and light -------------------------------------------------------------------------------------
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = document.getElementById("dark");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const tellTheme = () => dark.setAttribute("aria-pressed", String(isDark()));
  dark.hidden = false;
  dark.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    tellTheme();
  });
  system.addEventListener("change", tellTheme);
  tellTheme();

  // --- Series on and off ----------------------------------------------------------------------------------
  // The state is aria-pressed of the entries under each figure; what is above all figures sums them up.
  const asButton = (span) => {
    const button = make("button", span.className);
    button.type = "button";
    Object.assign(button.dataset, span.dataset);
    button.append(...span.childNodes);
    button.setAttribute("aria-pressed", "true");
    if (span.dataset.name) button.setAttribute("aria-label", span.dataset.name);
    span.replaceWith(button);
    return button;
  };
  const control = document.getElementById("recipes");
  const showAll = document.getElementById("show-all");
  all(".legend .entry, .legend .base").forEach(asButton);
  const own = all(".legend.own .entry");
  const everywhere = all(".legend.all .entry");
  const drawnBy = (entry) => all(`[data-key="${entry.dataset.key}"]:not(button)`, entry.closest("figure"));
  const isOn = (entry) => entry.getAttribute("aria-pressed") === "true";
  const sumUp = (button, entries) => {
    const on = entries.filter(isOn).length;
    button.setAttribute("aria-pressed", on === entries.length ? "true" : on ? "mixed" : "false");
  };
  const within = (base) => all(".entry", base.closest(".group"));
  const ownOf = (entry) => own.filter((other) => other.dataset.arm === entry.dataset.arm);
  const turn = (entries, on) => {
    for (const entry of entries) {
      entry.setAttribute("aria-pressed", String(on));
      for (const group of drawnBy(entry)) group.classList.toggle("off", !on);
    }
    for (const figure of new Set(entries.map((entry) => entry.closest("figure")))) all(".panel svg", figure).forEach(rescale);
    everywhere.forEach((entry) => sumUp(entry, ownOf(entry)));
    all(".legend.own .base").forEach((base) => sumUp(base, within(base)));
    all(".legend.all .base").forEach((base) => sumUp(base, within(base).flatMap(ownOf)));
    showAll.hidden = own.every(isOn);
    unpin();
  };
  // What a click on a button of a legend turns, as entries under figures.
  const turned = (button) => {
    const entries = button.matches(".base") ? within(button) : [button];
    return button.closest(".own") ? entries : entries.flatMap(ownOf);
  };
  const dim = (entries) => {
    const lit = new Set(entries.filter(isOn).flatMap(drawnBy));
    const touched = new Set(entries.map((entry) => entry.closest("figure")));
    for (const figure of figures) {
      for (const group of all("svg [data-key]", figure)) {
        group.classList.toggle("dim", lit.size > 0 && touched.has(figure) && !lit.has(group));
      }
    }
  };
  for (const button of all(".legend button")) {
    button.addEventListener("click", () => {
      const entries = turned(button);
      turn(entries, !entries.every(isOn));
      dim(entries.some(isOn) ? entries : []);
    });
    button.addEventListener("pointerenter", () => dim(turned(button)));
    button.addEventListener("pointerleave", () => dim([]));
    button.addEventListener("focus", () => button.matches(":focus-visible") && dim(turned(button)));
    button.addEventListener("blur", () => dim([]));
  }
  if (control) {
    control.hidden = false;
    showAll.addEventListener("click", () => turn(own, true));
  }

  // --- Tooltips -------------------------------------------------------------------------------------------
  const tip = make("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  let pinned = null; // {svg, mark}
  let shown = null; // the mark that the tooltip is about

  const copy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Not every browser lends its clipboard to a page from a file.
      const area = make("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1200);
  };
  const copyable = (text, words, name) => {
    const code = make("code", "", words);
    code.title = text;
    const button = make("button", "copy", "Copy");
    button.type = "button";
    button.setAttribute("aria-label", `Copy ${name}`);
    button.addEventListener("click", () => copy(text, button));
    const line = make("p", "origin");
    line.append(code, button);
    return line;
  };
  // `given` is the link of a number that is not the cell's score, and so has a job and an artifact of its own.
  const cellLines = (number, several, given) => {
    const origin = document.getElementById(`origin-${number}`);
    const job = given ? given.textContent : origin.querySelector(".job").textContent;
    const artifact = given ? given.dataset.artifact : origin.querySelector(".artifact").textContent;
    const link = make("a", "", several ? `replicate ${origin.dataset.replicate}` : "origin");
    link.href = `#origin-${number}`;
    const head = make("p", "quiet");
    head.append(link);
    const short = `${artifact.slice(0, 24)}\u2026`;
    return [head, copyable(job, job, "the job's id"), copyable(artifact, short, "the artifact")];
  };
  const numbers = (value) => (value ? value.split(" ") : []);

  // The lines of a tooltip, read from the row of the table under the figure.
  const describe = (svg, mark, whole) => {
    const table = svg.closest("figure").querySelector("table.data");
    const row = table.tBodies[0].rows[mark.dataset.r];
    const heads = all("thead th", table);
    const values = heads.filter((head) => head.matches(".value"));
    const text = (name) => row.cells[heads.findIndex((head) => head.textContent === name)]?.textContent;
    const title = make("p", "title");
    const swatch = mark.closest("[data-key]");
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "-6 -6 12 12");
    icon.setAttribute("class", swatch.getAttribute("class"));
    icon.append(mark.cloneNode());
    icon.firstChild.setAttribute("x", 0);
    icon.firstChild.setAttribute("y", 0);
    title.append(icon, make("b", "", text("Series")));
    const lines = [title, make("p", "quiet", `${text("Checkpoint").replace(/\/(\d+)$/, ", step $1")}, ${text("Tokens")} tokens`)];
    for (const index of svg.dataset.columns.split(" ").map(Number)) {
      const { name, unit } = values[index].dataset;
      const cell = row.cells[values[index].cellIndex];
      const interval = cell.querySelector("i")?.textContent;
      const line = make("p", "number-line", `${name === unit ? "" : `${name} `}`);
      line.append(make("b", "", `${cell.querySelector("b").textContent}\u2009${unit}`));
      if (interval) line.append(` ${table.dataset.percent} ${interval}`);
      lines.push(line);
    }
    if (text("Verdict")) lines.push(make("p", "", text("Verdict")));
    const replicates = text("Replicates");
    const counted = replicates.startsWith("only") ? `replicate ${replicates.slice(6)} alone` : `replicates: ${replicates}`;
    lines.push(make("p", "quiet", `n = ${text("n")} ${table.dataset.noun}, ${counted}`));
    const links = all("a", row.cells[row.cells.length - 1]);
    const cells = links.map((link) => link.hash.replace("#origin-", ""));
    if (whole) {
      lines.push(...links.flatMap((link, at) => cellLines(cells[at], cells.length > 1, link.dataset.artifact && link)));
      const against = numbers(row.dataset.against);
      if (against.length) lines.push(make("p", "quiet against", "against"));
      lines.push(...against.flatMap((number) => cellLines(number, against.length > 1)));
    } else {
      const jobs = links.map((link) => link.textContent);
      lines.push(make("p", "job-line", jobs[0] + (jobs.length > 1 ? ` and ${jobs.length - 1} more` : "")));
      lines.push(make("p", "hint", "click or Enter: keep it, copy job and artifact"));
    }
    return lines;
  };
  const placeTip = (mark) => {
    const box = mark.getBoundingClientRect();
    const width = tip.offsetWidth;
    const left = box.left + box.width / 2;
    const x = left + 14 + width < root.clientWidth ? left + 14 : left - 14 - width;
    tip.style.left = `${Math.max(8, Math.min(x, root.clientWidth - width - 8)) + scrollX}px`;
    const below = box.bottom + 10;
    const fits = below + tip.offsetHeight < innerHeight || box.top - 10 - tip.offsetHeight < 0;
    tip.style.top = `${(fits ? below : box.top - 10 - tip.offsetHeight) + scrollY}px`;
  };
  const light = (mark) => {
    if (shown) shown.classList.remove("lit");
    shown = mark;
    if (mark) mark.classList.add("lit");
  };
  const showTip = (svg, mark, whole = false) => {
    if (mark === shown && !tip.hidden && !whole) return;
    light(mark);
    tip.replaceChildren(...describe(svg, mark, whole));
    tip.classList.toggle("pinned", whole);
    tip.hidden = false;
    placeTip(mark);
  };
  const hideTip = () => {
    if (pinned) return;
    light(null);
    tip.hidden = true;
  };
  function unpin() {
    pinned = null;
    hideTip();
  }
  const pin = (svg, mark) => {
    pinned = { svg, mark };
    showTip(svg, mark, true);
    const close = make("button", "close", "\u00d7");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => {
      unpin();
      svg.focus({ preventScroll: true });
    });
    tip.append(close);
  };
  const marksOf = (svg) => all("use[data-r]", svg).filter((mark) => !mark.closest(".off"));
  const spot = (mark) => ({ x: mark.x.baseVal.value, y: mark.y.baseVal.value });
  const nearest = (svg, event) => {
    const matrix = svg.getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let best = null;
    let least = (REACH / matrix.a) ** 2;
    for (const mark of marksOf(svg)) {
      const { x, y } = spot(mark);
      // A mean is meant before a single replicate as near.
      const distance = (x - at.x) ** 2 + (y - at.y) ** 2 + (mark.matches(".dot") ? 9 : 0);
      if (distance < least) [best, least] = [mark, distance];
    }
    return best;
  };
  // The mark that an arrow key leads to: along its line, or to the next line at about the same place.
  const step = (svg, from, key) => {
    const marks = marksOf(svg);
    if (!from || !marks.includes(from)) return marks[0] ?? null;
    const group = from.closest("[data-key]");
    const mine = marks.filter((mark) => mark.closest("[data-key]") === group).sort((a, b) => a.dataset.r - b.dataset.r);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      return mine[mine.indexOf(from) + (key === "ArrowRight" ? 1 : -1)] ?? from;
    }
    const groups = [...new Set(marks.map((mark) => mark.closest("[data-key]")))];
    const next = groups[groups.indexOf(group) + (key === "ArrowDown" ? 1 : -1)];
    if (!next) return from;
    const far = (mark) => Math.abs(spot(mark).x - spot(from).x);
    return marks.filter((mark) => mark.closest("[data-key]") === next).reduce((a, b) => (far(b) < far(a) ? b : a));
  };
  for (const svg of all(".panel svg")) {
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-roledescription", "chart; arrow keys go from point to point");
    svg.addEventListener("pointermove", (event) => {
      if (pinned || event.pointerType === "touch") return;
      const mark = nearest(svg, event);
      if (mark) showTip(svg, mark);
      else hideTip();
      svg.classList.toggle("over", Boolean(mark));
    });
    svg.addEventListener("pointerleave", hideTip);
    svg.addEventListener("blur", hideTip);
    svg.addEventListener("click", (event) => {
      const mark = nearest(svg, event);
      if (mark && pinned?.mark !== mark) pin(svg, mark);
      else unpin();
    });
    svg.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow")) {
        event.preventDefault();
        const from = shown && svg.contains(shown) ? shown : null;
        pinned = null;
        const mark = step(svg, from, event.key);
        if (mark) showTip(svg, mark);
      } else if ((event.key === "Enter" || event.key === " ") && shown && svg.contains(shown)) {
        event.preventDefault();
        pin(svg, shown);
        tip.querySelector("button").focus({ preventScroll: true });
      }
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || tip.hidden) return;
    const back = pinned && tip.contains(document.activeElement) ? pinned.svg : null;
    unpin();
    if (back) back.focus({ preventScroll: true });
  });
  document.addEventListener("click", (event) => {
    if (pinned && !tip.contains(event.target) && !event.target.closest(".panel svg")) unpin();
  });
})();
