// Draws the axes of a panel anew when lines are switched off or on: what is left takes the whole height, and of
// numbers across the whole width. Places in the picture are moved; no value is computed but those of ticks.
"use strict";
const rescale = (() => {
  const AIR = 0.05; // of the span, at each end
  const SPACE = "http://www.w3.org/2000/svg";
  const axisOf = (text) => {
    const [low, high, start, end, kind, ...more] = text.split(" ");
    return { low: +low, high: +high, start: +start, end: +end, kind, floor: more.includes("floor"), counts: more.includes("counts") };
  };
  const valueAt = (axis, pixel) => {
    const share = (pixel - axis.start) / (axis.end - axis.start);
    if (axis.kind === "log") return axis.low * (axis.high / axis.low) ** share;
    return axis.low + share * (axis.high - axis.low);
  };
  const pixelAt = (axis, value) => {
    const share = axis.kind === "log" ? Math.log(value / axis.low) / Math.log(axis.high / axis.low) : (value - axis.low) / (axis.high - axis.low);
    return axis.start + share * (axis.end - axis.start);
  };

  // --- Ticks, as axes.py has them ---------------------------------------------------------------------------
  const roundTicks = (low, high, most) => {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * (1 - 1e-9));
    const ticks = [];
    for (let index = Math.ceil(low / step - 1e-9); index <= Math.floor(high / step + 1e-9); index += 1) ticks.push(index * step);
    return ticks;
  };
  const logTicks = (low, high) => {
    const powers = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) powers.push(10 ** power);
    const inside = (tick) => tick >= low && tick <= high;
    const tens = powers.filter(inside);
    if (tens.length > 2) return tens.filter((_, index) => index % Math.ceil(tens.length / 6) === 0);
    return powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(inside);
  };
  const counted = (value) => {
    const steps = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]];
    const [size, letter] = steps.find(([step]) => value >= 0.9995 * step) ?? [1, ""];
    return `${+(value / size).toPrecision(3)}${letter}`;
  };
  const plainly = (ticks) => {
    const near = (digits) => ticks.every((tick) => Math.abs(+tick.toFixed(digits) - tick) < 1e-9);
    const digits = [...Array(12).keys()].find(near) ?? 12;
    return ticks.map((tick) => (+tick.toFixed(digits) === 0 ? 0 : tick).toFixed(digits).replace("-", "\u2212"));
  };
  const ticksOf = (axis, most) => {
    const ticks = axis.kind === "log" ? logTicks(axis.low, axis.high) : roundTicks(axis.low, axis.high, most);
    return ticks.map((tick, index) => [tick, axis.counts && tick >= 0 ? counted(tick) : plainly(ticks)[index]]);
  };

  // --- What is drawn, with its first places -----------------------------------------------------------------
  const remembered = new WeakMap();
  const points = (text) => [...text.matchAll(/(-?[\d.]+)[ ,](-?[\d.]+)/g)].map(([, x, y]) => [+x, +y]);
  const remember = (node) => {
    if (!remembered.has(node)) {
      const d = node.getAttribute("d");
      remembered.set(node, d === null ? { at: [[+node.getAttribute("x"), +node.getAttribute("y")]] } : { d, at: points(d) });
    }
    return remembered.get(node);
  };
  const move = (node, x, y) => {
    const first = remember(node);
    if (first.d !== undefined) {
      const moved = first.d.replace(/(-?[\d.]+)([ ,])(-?[\d.]+)/g, (_, px, gap, py) => `${x(+px).toFixed(1)}${gap}${y(+py).toFixed(1)}`);
      node.setAttribute("d", moved);
      return;
    }
    const [[px, py]] = first.at;
    // The label of a mark stays as far from it as it was.
    node.setAttribute("x", x(px).toFixed(1));
    node.setAttribute("y", y(py).toFixed(1));
  };
  const drawn = (group) => [...group.querySelectorAll("path, use, text")];
  const extent = (values) => [Math.min(...values), Math.max(...values)];
  const stretched = (axis, values) => {
    let [first, last] = extent(values);
    const air = AIR * (last - first) || 10;
    [first, last] = [first - air, last + air];
    // Of an axis that goes up, the lower value is the larger pixel.
    const [from, to] = axis.start > axis.end ? [axis.floor ? axis.start : last, first] : [first, last];
    return { ...axis, low: valueAt(axis, from), high: valueAt(axis, to) };
  };

  const element = (name, attributes, text) => {
    const node = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.textContent = text;
    return node;
  };
  const redraw = (svg, axis, other, up) => {
    const group = svg.querySelector(up ? ":scope > .up" : ":scope > .across");
    if (!group) return;
    const lined = Boolean(group.querySelector("path"));
    group.replaceChildren();
    for (const [value, text] of ticksOf(axis, up ? 6 : 5)) {
      const at = pixelAt(axis, value).toFixed(1);
      const line = up ? `M${other.start} ${at}L${other.end} ${at}` : `M${at} ${other.start}L${at} ${other.end}`;
      if (lined) group.append(element("path", { d: line, class: "grid" }));
      const place = up ? { x: other.start - 7, y: +at + 4, class: "tick end" } : { x: at, y: other.start + 17, class: "tick middle" };
      group.append(element("text", place, text));
    }
  };

  return (svg) => {
    const across = axisOf(svg.dataset.across);
    const up = axisOf(svg.dataset.up);
    const groups = [...svg.querySelectorAll("[data-key]")];
    const on = groups.filter((group) => !group.classList.contains("off"));
    const ground = [...svg.querySelectorAll(":scope > .zero, :scope > .expanded, :scope > .sharpened")];
    const zeros = ground.filter((node) => node.classList.contains("zero"));
    const whole = on.length === groups.length;
    const seen = on.flatMap((group) => drawn(group).filter((node) => node.tagName !== "text").flatMap((node) => remember(node).at.map(([x, y]) => [x, y, group.classList.contains("level")])));
    if (!on.length || !seen.length) return;
    let [newAcross, newUp] = [across, up];
    if (!whole) {
      const flat = zeros.map((node) => remember(node).at).filter(([a, b]) => a[1] === b[1]).map(([a]) => a[1]);
      const tall = zeros.map((node) => remember(node).at).filter(([a, b]) => a[0] === b[0]).map(([a]) => a[0]);
      newUp = stretched(up, [...seen.map(([, y]) => y), ...flat]);
      const xs = seen.filter(([, , level]) => !level).map(([x]) => x);
      if (across.kind !== "fixed" && xs.length) newAcross = stretched(across, [...xs, ...tall]);
    }
    const y = (pixel) => pixelAt(newUp, valueAt(up, pixel));
    const x = (pixel) => (across.kind === "fixed" ? pixel : pixelAt(newAcross, valueAt(across, pixel)));
    const same = (pixel) => pixel;
    for (const group of groups) {
      const level = group.classList.contains("level");
      for (const node of drawn(group)) move(node, level ? same : x, y);
    }
    const [left, right] = extent([across.start, across.end]);
    const [top, bottom] = extent([up.start, up.end]);
    const edge = (pixel, ends, turn) => (ends.some((end) => Math.abs(end - pixel) < 0.2) ? pixel : turn(pixel));
    for (const node of ground) move(node, (p) => edge(p, [left, right], x), (p) => edge(p, [top, bottom], y));
    redraw(svg, newUp, across, true);
    if (across.kind !== "fixed") redraw(svg, newAcross, up, false);
  };
})();
