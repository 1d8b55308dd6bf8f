// The importance graph as SVG. Everything that a hop or a lens changes is in `data` already: recolouring asks nobody, and keeps
// position, zoom and selection. One box a mounted component; Python hears of a choice through the state "at".
const boxes = new WeakMap();
const SVG = "http://www.w3.org/2000/svg";
const TOOLS = 52; // pixels that the buttons take on the right
const LEGIBLE = 0.8; // zoom at which the words in boxes are read with ease
const REPORT_MS = 140; // moves in quick succession are reported by the first and the last of them

function make(name, attributes, parent, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// Layout

function closedFold(box, slot) {
  const fold = box.foldOf.get(slot.id);
  return fold && !box.open.has(fold.id) ? fold : undefined;
}

function items(box) {
  // What is drawn: slots, and one item in place of the slots of a closed fold.
  const found = [];
  for (const slot of box.data.slots) {
    const fold = closedFold(box, slot);
    if (!fold) found.push({ ...slot, members: [slot.id] });
    else if (fold.slots[0] === slot.id) found.push({ ...slot, id: fold.id, fold, nodes: fold.nodes, members: fold.slots });
  }
  return found;
}

function place(box) {
  // Chains close up where blocks are folded; lines of units below a shortened one move up. Graphs that are
  // placed freely stand where Python put them.
  const all = items(box), { data } = box;
  if (!data.free) {
    const lines = new Map();
    for (const unit of data.units) {
      const own = data.slots.filter((slot) => slot.unit === unit);
      if (!own.length) continue;
      const top = Math.min(...own.map((slot) => slot.y)), shown = all.filter((item) => item.unit === unit);
      const line = lines.get(top) || { full: 0, shown: 0, units: [] };
      line.full = Math.max(line.full, own.length);
      line.shown = Math.max(line.shown, shown.length);
      line.units.push(shown);
      lines.set(top, line);
    }
    let moved = 0;
    for (const [top, line] of [...lines].sort((a, b) => a[0] - b[0])) {
      for (const shown of line.units) shown.forEach((item, i) => { item.y = top - moved + i * data.size.row; });
      moved += (line.full - line.shown) * data.size.row;
    }
  }
  return all;
}

function half(box, item) {
  const { size } = box.data, pair = item.nodes.length > 1;
  if (item.kind === "input") return { w: size.radius, h: size.radius };
  if (item.kind === "sum") return pair ? { w: 52, h: 25 } : { w: size.radius, h: size.radius };
  return { w: pair ? size.width + size.gap / 2 : size.width / 2, h: size.height / 2 };
}

function bounds(box, some, pad) {
  const parts = some.map((item) => ({ ...half(box, item), x: item.x, y: item.y }));
  return {
    x0: Math.min(...parts.map((p) => p.x - p.w)) - pad, x1: Math.max(...parts.map((p) => p.x + p.w)) + pad,
    y0: Math.min(...parts.map((p) => p.y - p.h)) - pad, y1: Math.max(...parts.map((p) => p.y + p.h)) + pad,
  };
}

// Drawing, anew only when nodes or folds change

function draw(box) {
  const { data, root } = box;
  box.items = place(box);
  box.elements = [];
  for (const name of ["frames", "edges", "slots", "pills"]) root.querySelector(`.${name}`).replaceChildren();
  drawFrames(box);
  drawEdges(box);
  const slots = root.querySelector(".slots"), pills = root.querySelector(".pills");
  for (const item of box.items) {
    const group = make("g", { transform: `translate(${item.x},${item.y})` }, slots);
    item.nodes.forEach((node, i) => drawNode(box, item, node, i, group));
    if (item.change) item.pill = drawPill(box, item, pills);
  }
  root.querySelector(".fold").hidden = !data.folds.length;
  root.querySelector(".fold").textContent = box.open.size < data.folds.length ? "Unfold" : "Fold";
  box.extent = bounds(box, box.items, 16);
  if (data.input) box.extent.x0 = Math.min(box.extent.x0, -data.size.radius - 16); // the input stands at 0
  box.extent.y0 -= box.frames.every((frame) => frame.circle) ? 0 : 22;
  const tall = box.extent.y1 - box.extent.y0, least = Math.min(Math.max((data.free ? 0.8 : 0.62) * tall, 250), data.free ? 400 : 300);
  box.canvas.style.height = `clamp(${least}px, calc(100vh - ${data.above}px), ${Math.max(Math.min(1.25 * tall + 20, 720), least)}px)`;
  paint(box);
}

function drawFrames(box) {
  const { data, root } = box, layer = root.querySelector(".frames");
  box.frames = [];
  for (const unit of data.units) {
    const own = box.items.filter((item) => item.unit === unit);
    if (!own.length) continue;
    const circle = own.find((item) => item.kind === "sum"); // it names its unit
    const loose = data.loose.includes(unit), b = bounds(box, own, loose ? 3 : 10);
    const group = make("g", {}, layer);
    const rect = make("rect", { class: loose ? "frame loose" : "frame", x: b.x0, y: b.y0, width: b.x1 - b.x0, height: b.y1 - b.y0, rx: 8 }, group);
    const title = make("text", { class: "frame-name", x: b.x0 + 4, y: b.y0 - 6 }, group, circle ? "" : loose ? short(unit, own[0].nodes.length > 1 ? 28 : 15) : unit);
    if (loose) make("title", {}, title, unit);
    const value = make("text", { class: "frame-value", x: b.x1 - 4, y: b.y0 - 6 }, group);
    if (own[0].nodes.length > 1) {
      const step = (data.size.width + data.size.gap) / 2;
      own[0].nodes.forEach((node, i) => make("text", { class: "side-name", x: own[0].x + (i ? step : -step), y: b.y0 - 6 }, group, circle ? "" : node.side));
      if (!circle) group.querySelector(".frame-name").setAttribute("y", b.y0 - (loose ? 19 : 22));
      value.setAttribute("y", b.y0 - 22);
    }
    box.frames.push({ unit, rect, value, own, circle });
    for (const fold of data.folds) if ((box.data.folded || box.folding) && box.open.has(fold.id) && own.some((item) => item.id === fold.slots[0])) drawFoldBack(box, fold, own, group);
  }
}

function drawFoldBack(box, fold, own, group) {
  const part = own.filter((item) => fold.slots.includes(item.id)), b = bounds(box, part, 0), x = b.x0 - 5;
  const path = make("path", { class: "fold-back", d: `M${x + 3},${b.y0 + 4} h-3 V${b.y1 - 4} h3`, role: "button", tabindex: "0", "aria-label": `Fold ${fold.slots.length} equal layers` }, group);
  make("title", {}, path, "Fold these equal layers");
  const close = () => { box.open.delete(fold.id); draw(box); };
  path.addEventListener("click", close);
  path.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); close(); } });
}

function border(box, item, toward) {
  const dx = toward.x - item.x, dy = toward.y - item.y, size = half(box, item);
  const round = ["sum", "input"].includes(item.kind) && item.nodes.length < 2;
  const share = round ? size.w / Math.max(Math.hypot(dx, dy), 1e-9) : Math.min(dx ? size.w / Math.abs(dx) : Infinity, dy ? size.h / Math.abs(dy) : Infinity);
  return { x: item.x + dx * share, y: item.y + dy * share };
}

function drawEdges(box) {
  const { data, root } = box, layer = root.querySelector(".edges");
  const owner = new Map(box.items.flatMap((item) => item.members.map((id) => [id, item])));
  if (data.input) {
    const start = { x: 0, y: 0, kind: "input", nodes: [{}] };
    owner.set("input", start);
    const group = make("g", { class: "input" }, root.querySelector(".frames"));
    make("circle", { r: data.size.radius }, group);
    make("text", { y: 4 }, group, "input");
  }
  for (const [from, to] of data.edges) {
    const a = owner.get(from), b = owner.get(to);
    if (!a || !b || a === b) continue;
    for (const d of paths(box, a, b)) make("path", { class: "edge", d, "marker-end": "url(#arrow)" }, layer);
  }
}

function paths(box, a, b) {
  const ha = half(box, a), hb = half(box, b), { data } = box, pair = b.nodes.length > 1;
  if (data.free) {
    const bend = b.kind !== "sum" && Math.abs(b.y - a.y) > 20;
    const via = bend ? { x: a.x + (b.x - a.x) * 0.22, y: b.y } : undefined;
    const s = border(box, a, via || b), e = border(box, b, via || a);
    return [via ? `M${s.x},${s.y} Q${via.x},${via.y} ${e.x},${e.y}` : `M${s.x},${s.y} L${e.x},${e.y}`];
  }
  if (a.unit === b.unit) {
    const step = pair ? (data.size.width + data.size.gap) / 2 : 0;
    const xs = step ? [-step, step].filter((_, i) => a.nodes[i].of.length && b.nodes[i].of.length) : [0];
    return xs.map((x) => `M${a.x + x},${a.y + ha.h} L${a.x + x},${b.y - hb.h}`);
  }
  if (b.x > a.x && pair) return [`M${a.x + ha.w + 10},${b.y} L${b.x - hb.w - 10},${b.y}`];
  if (b.x > a.x) {
    const x1 = a.x + ha.w, x2 = b.x - hb.w, middle = (x1 + x2) / 2;
    return [`M${x1},${a.y} C${middle},${a.y} ${middle},${b.y} ${x2},${b.y}`];
  }
  const y1 = a.y + ha.h, y2 = b.y - hb.h - 34, turn = (y1 + y2) / 2 + 6; // to the next line of units
  return [`M${a.x},${y1} C${a.x},${turn + 20} ${b.x},${turn - 20} ${b.x},${y2 + 10}`];
}

function drawNode(box, item, node, i, parent) {
  const { data } = box, { size } = data, pair = item.nodes.length > 1, round = item.kind === "sum";
  const step = round ? 26 : (size.width + size.gap) / 2, x = pair ? (i ? step : -step) : 0;
  const absent = !node.of.length, r = pair ? 24 : size.radius, w = size.width, h = size.height;
  const group = make("g", { class: `node${absent ? " absent" : ""}`, transform: `translate(${x},0)`, "data-id": node.id }, parent);
  const shape = (more, grow = 0) => (round
    ? make("circle", { r: r + grow, ...more }, group)
    : make("rect", { x: -w / 2 - grow, y: -h / 2 - grow, width: w + 2 * grow, height: h + 2 * grow, rx: 5 + grow, ...more }, group));
  if (item.fold) for (const k of [2, 1]) make("path", { class: "under", d: `M${-w / 2 + 5 + 2 * k},${h / 2 + 2.5 * k} H${w / 2 - 5 - 2 * k}` }, group);
  shape({ class: "ring" }, 3);
  const body = shape({ class: "body" });
  shape({ class: "hatch" });
  const name = make("text", { class: "name", y: absent ? 4 : round && pair ? -2 : -3 }, group, short(node.text, round ? 9 : pair ? 13 : 16));
  if (round && pair) name.style.fontSize = "11px";
  const value = make("text", { class: "value", y: 14 }, group);
  const corner = make("text", { class: "corner", x: w / 2 - 7, y: 14 }, group);
  corner.style.textAnchor = "end";
  if (round && pair) value.style.fontSize = "11px";
  const element = { id: node.id, node, item, group, body, name, value, corner };
  if (!absent) {
    group.setAttribute("role", "option");
    group.addEventListener("click", () => choose(box, element, true));
    group.addEventListener("mouseenter", () => tip(box, element));
    group.addEventListener("mouseleave", () => tip(box));
    group.addEventListener("focus", () => { if (group.matches(":focus-visible")) tip(box, element); });
    group.addEventListener("blur", () => tip(box));
  }
  box.elements.push(element);
}

function drawPill(box, item, layer) {
  const b = half(box, item);
  const group = make("g", { class: "pill", transform: `translate(${item.x},${item.y + b.h + 9})` }, layer);
  return { group, rect: make("rect", { rx: 7.5, y: -7.5, height: 15 }, group), text: make("text", { y: 4 }, group) };
}

// Colours, selection and search: attributes only

function themeOf(box) {
  // What Streamlit's theme makes of the page: its ground is dark or light.
  const [r, g, b] = (getComputedStyle(box.root).backgroundColor.match(/[\d.]+/g) || [255, 255, 255]).map(Number);
  return r + g + b < 384 ? "dark" : "light";
}

const recordOf = (box, node) => node.of[box.stop] ?? -1;

function sentence(box, element) {
  const { records } = box.data, record = recordOf(box, element.node), paintOf = records.paint[box.lens];
  const where = element.item.fold ? element.node.text : `${element.node.side ? `${element.node.side}, ` : ""}${element.item.id}: ${element.node.token}`;
  const lines = [where];
  if (record < 0) lines.push("not scored");
  else lines.push(records.name[record], paintOf.words[record] + (paintOf.unsure[record] ? "; cannot be told from the average" : ""));
  const change = element.item.change?.[box.stop] ?? -1;
  if (change >= 0) lines.push(`From A to B: ${box.data.changes[box.lens].words[change]}`);
  if (element.node.note) lines.push(element.node.note);
  return lines;
}

function paint(box) {
  const { data } = box, whole = data.stops[box.stop].id === "unit", painted = data.records.paint[box.lens];
  const theme = themeOf(box), colours = { ...painted, ...painted[theme] };
  const chosen = box.elements.find((element) => element.id === box.selected) || box.elements.find((element) => owns(element, box.selected));
  const record = chosen ? recordOf(box, chosen.node) : -1;
  const reach = new Set(record < 0 ? [] : data.records.reach[record]);
  let current = chosen;
  for (const element of box.elements) {
    const { node, item, group } = element, own = recordOf(box, node), on = element === chosen, { classList } = group;
    const matches = !box.query || matchesQuery(box, element);
    classList.toggle("selected", on);
    classList.toggle("reached", !on && chosen && node.side === chosen.node.side && item.members.some((id) => reach.has(id)));
    classList.toggle("dim", !matches);
    if (!node.of.length) continue;
    current = current || element;
    const change = item.change?.[box.stop] ?? -1;
    classList.toggle("same", item.nodes.length > 1 && !item.differs && change < 0);
    const known = own >= 0, fill = known ? colours.fill[own] : "transparent";
    element.body.style.fill = fill;
    element.body.style.stroke = change >= 0 ? data.changes[box.lens][theme].line[change] : known ? colours.line[own] : "var(--st-text-color)";
    element.body.style.strokeWidth = item.differs ? 3.2 : change >= 0 ? 2 : 1.4;
    classList.toggle("unsure", known && Boolean(colours.unsure[own]));
    const ink = known ? colours.ink[own] : "var(--st-text-color)";
    for (const text of [element.name, element.value, element.corner]) text.style.fill = ink;
    group.style.color = ink;
    element.value.textContent = known && !(whole && item.kind !== "sum") ? colours.value[own] : "";
    const corner = item.kind !== "sum" && item.nodes.length < 2 ? node.corner : "";
    element.corner.textContent = corner;
    const both = corner && element.value.textContent;
    element.value.setAttribute("x", both ? -data.size.width / 2 + 7 : 0);
    element.value.style.textAnchor = both ? "start" : "middle";
    element.corner.setAttribute("x", both ? data.size.width / 2 - 7 : 0);
    element.corner.style.textAnchor = both ? "end" : "middle";
    group.setAttribute("aria-selected", String(on));
    group.setAttribute("aria-label", sentence(box, element).join(". "));
    group.setAttribute("tabindex", "-1");
  }
  if (current) current.group.setAttribute("tabindex", "0");
  paintFrames(box, whole, colours);
  for (const item of box.items) if (item.pill) paintPill(box, item, whole);
  paintBar(box);
  if (box.tipped) tip(box, box.elements.find((element) => element.id === box.tipped));
}

const owns = (element, id) => Boolean(id) && element.item.fold && element.item.members.some((slot) => id === slot || id === `${element.node.side}:${slot}`);

function paintFrames(box, whole, colours) {
  for (const { rect, value, own, circle } of box.frames) {
    const records = own[0].nodes.map((node) => recordOf(box, node));
    const known = whole && records.every((one) => one >= 0);
    rect.classList.toggle("whole", known);
    rect.style.fill = known && records.length < 2 ? colours.fill[records[0]] : "";
    rect.style.fillOpacity = known && records.length < 2 ? 0.35 : "";
    value.textContent = known && !circle ? records.map((one) => colours.value[one]).join(" | ") : "";
  }
}

function paintPill(box, item, whole) {
  const number = item.change[box.stop], { group, rect, text } = item.pill, change = box.data.changes[box.lens];
  const own = box.items.filter((one) => one.unit === item.unit), shown = own.find((one) => one.kind === "sum") || own[0];
  const hidden = number < 0 || (whole && item !== shown);
  group.style.display = hidden ? "none" : "";
  if (hidden) return;
  const paintOf = change[themeOf(box)];
  text.textContent = change.value[number];
  text.style.fill = paintOf.ink[number];
  const width = 12 + 6.4 * text.textContent.length;
  rect.setAttribute("x", -width / 2);
  rect.setAttribute("width", width);
  rect.style.fill = paintOf.fill[number];
  rect.style.stroke = paintOf.line[number];
}

function paintBar(box) {
  const { root, data } = box, legend = data.lenses.find((one) => one.id === box.lens).legend[themeOf(box)];
  const slider = root.querySelector(".hop input");
  root.querySelector(".hop").hidden = data.stops.length < 2;
  slider.max = data.stops.length - 1;
  slider.value = box.stop;
  slider.setAttribute("aria-valuetext", data.stops[box.stop].name);
  root.querySelector(".hop-name").textContent = data.stops[box.stop].name;
  root.querySelectorAll(".lenses button").forEach((button) => {
    const on = button.dataset.lens === box.lens;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
  });
  root.querySelector(".legend .title").textContent = legend.title;
  root.querySelector(".strip").style.background = `linear-gradient(90deg, ${legend.stops.join(", ")})`;
  root.querySelector(".mark").style.left = `${legend.centre * 100}%`;
  root.querySelectorAll(".labels span").forEach((span, i) => { span.textContent = legend.labels[i]; });
  const [low, high] = [legend.stops[0], legend.stops.at(-1)];
  root.style.setProperty("--faint", `color-mix(in srgb, ${high} 30%, var(--st-background-color))`);
  root.style.setProperty("--worse", low);
  root.style.setProperty("--better", high);
  root.querySelector(".key.pair").hidden = !data.slots[0]?.change;
}

// Choosing

function tell(box) {
  clearTimeout(box.timer);
  box.timer = undefined;
  box.told = Date.now();
  box.setStateValue("at", { node: box.selected, stop: box.data.stops[box.stop].id, lens: box.lens, turn: box.turn, count: box.told });
}

function report(box, at_once) {
  clearTimeout(box.timer);
  if (at_once || Date.now() - (box.told ?? 0) > REPORT_MS) tell(box);
  else box.timer = setTimeout(() => tell(box), REPORT_MS);
}

function choose(box, element, at_once) {
  if (element.item.fold) {
    box.open.add(element.item.fold.id);
    draw(box);
    if (!box.moved) fit(box);
    if (box.view.k < LEGIBLE) zoomTo(box, element.item.members);
    const inner = box.elements.find((one) => element.item.fold.slots[0] === one.item.id && one.node.side === element.node.side);
    return choose(box, inner, at_once);
  }
  const changed = box.selected !== element.id;
  box.selected = element.id;
  paint(box);
  element.group.focus({ preventScroll: true });
  show(box, element);
  if (changed) report(box, at_once);
  return undefined;
}

function show(box, element) {
  // Pans a node into view; nothing moves where it is in view already.
  const { clientWidth, clientHeight } = box.canvas, { x, y, k } = box.view;
  const px = element.item.x * k + x, py = element.item.y * k + y, edge = 40;
  if (px > edge && px < clientWidth - edge && py > edge && py < clientHeight - edge) return;
  box.view = { k, x: clientWidth / 2 - element.item.x * k, y: clientHeight / 2 - element.item.y * k };
  box.moved = true;
  look(box);
}

function matchesQuery(box, element) {
  const plain = (text) => text.toLowerCase().replaceAll("_", " ");
  const query = plain(box.query), fold = element.item.fold;
  const inside = fold ? box.data.slots.filter((slot) => fold.slots.includes(slot.id)) : [element.item];
  return inside.some((slot) => slot.nodes.some((node) => node.side === element.node.side && node.of.length
    && [node.token, node.text, slot.id].some((text) => plain(text).includes(query))));
}

function search(box, next) {
  const input = box.root.querySelector(".search input");
  box.query = input.value.trim();
  const nodes = box.elements.filter((element) => element.node.of.length);
  const found = nodes.filter((element) => matchesQuery(box, element));
  box.root.querySelector(".found").textContent = box.query ? `${found.length} of ${nodes.length}` : "";
  paint(box);
  if (!next || !box.query || !found.length) return;
  const at = found.findIndex((element) => element.id === box.selected || owns(element, box.selected));
  const target = found[(at + 1) % found.length];
  choose(box, target, true);
  if (box.view.k < LEGIBLE / 2) zoomTo(box, target.item.members);
  input.focus();
}

function move(box, key) {
  const nodes = box.elements.filter((element) => element.node.of.length);
  const at = Math.max(nodes.findIndex((element) => element.group.getAttribute("tabindex") === "0"), 0), here = nodes[at];
  const steps = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: nodes.length - 1 };
  if (key in steps) return nodes[Math.min(Math.max(steps[key], 0), nodes.length - 1)];
  const sign = key === "ArrowDown" ? 1 : -1, step = (box.data.size.width + box.data.size.gap) / 2;
  const x = (one) => one.item.x + (one.item.nodes.length > 1 ? (one.item.nodes.indexOf(one.node) ? step : -step) : 0);
  const beyond = nodes.filter((one) => sign * (one.item.y - here.item.y) > 1);
  const far = (one) => Math.abs(one.item.y - here.item.y) + 3 * Math.abs(x(one) - x(here));
  return beyond.sort((a, b) => far(a) - far(b))[0] || here;
}

// View

function look(box) {
  const { x, y, k } = box.view;
  box.root.querySelector(".world").setAttribute("transform", `translate(${x},${y}) scale(${k})`);
  box.canvas.dataset.view = `${x.toFixed(1)} ${y.toFixed(1)} ${k.toFixed(4)}`;
}

function fit(box) {
  const { x0, x1, y0, y1 } = box.extent, { clientWidth: width, clientHeight: height } = box.canvas;
  if (!width || !height) return;
  const free = width - TOOLS; // beside the buttons
  const k = Math.min(1.25, (free - 12) / (x1 - x0), (height - 12) / (y1 - y0));
  box.view = { k, x: free / 2 - ((x0 + x1) / 2) * k, y: height / 2 - ((y0 + y1) / 2) * k };
  box.moved = false;
  look(box);
}

function zoom(box, factor, px = box.canvas.clientWidth / 2, py = box.canvas.clientHeight / 2) {
  const { x, y, k } = box.view, scaled = Math.min(Math.max(k * factor, 0.05), 4);
  box.view = { k: scaled, x: px - ((px - x) / k) * scaled, y: py - ((py - y) / k) * scaled };
  box.moved = true;
  tip(box);
  look(box);
}

function zoomTo(box, ids) {
  // A part of a large graph, legibly: from its beginning.
  const part = box.items.filter((item) => ids.includes(item.id)), b = bounds(box, part, 24);
  box.view = { k: LEGIBLE, x: box.canvas.clientWidth / 2 - ((b.x0 + b.x1) / 2) * LEGIBLE, y: 8 - (b.y0 - 10) * LEGIBLE };
  box.moved = true;
  look(box);
}

function tip(box, element) {
  const bubble = box.root.querySelector(".tip");
  box.tipped = element?.id;
  bubble.hidden = !element;
  if (!element) return;
  const [head, ...rest] = sentence(box, element);
  const title = document.createElement("b");
  title.textContent = head;
  bubble.replaceChildren(title, ...rest.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  const frame = box.canvas.getBoundingClientRect(), at = element.body.getBoundingClientRect();
  const right = at.right - frame.left + 10, left = at.left - frame.left - bubble.offsetWidth - 10;
  bubble.style.left = `${right + bubble.offsetWidth < frame.width ? right : Math.max(left, 4)}px`;
  bubble.style.top = `${Math.max(Math.min(at.top - frame.top, frame.height - bubble.offsetHeight - 4), 4)}px`;
}

function save(box) {
  const copy = box.svg.cloneNode(true), { x0, x1, y0, y1 } = box.extent;
  const properties = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity", "display", "font-size", "font-weight", "text-anchor"];
  const [originals, copies] = [box.svg.querySelectorAll("*"), copy.querySelectorAll("*")];
  originals.forEach((original, i) => {
    const style = getComputedStyle(original);
    for (const name of properties) copies[i].style.setProperty(name, style.getPropertyValue(name));
  });
  copy.querySelector(".world").removeAttribute("transform");
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("viewBox", `${x0} ${y0} ${x1 - x0} ${y1 - y0}`);
  copy.setAttribute("width", x1 - x0);
  copy.setAttribute("height", y1 - y0);
  copy.setAttribute("font-family", "sans-serif");
  copy.style.background = getComputedStyle(box.root).getPropertyValue("--st-background-color");
  const address = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  Object.assign(document.createElement("a"), { href: address, download: "importance.svg" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

// Once a box

function listen(box) {
  const { root, svg, canvas } = box;
  root.querySelector(".hop input").addEventListener("input", (event) => {
    box.stop = Number(event.target.value);
    paint(box);
    report(box);
  });
  const lenses = root.querySelector(".lenses");
  const take = (button) => { box.lens = button.dataset.lens; paint(box); report(box, true); };
  lenses.addEventListener("click", (event) => { if (event.target.dataset.lens) take(event.target); });
  lenses.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...lenses.children], next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    next.focus();
    take(next);
  });
  const input = root.querySelector(".search input");
  input.addEventListener("input", () => search(box));
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); search(box, true); } });
  root.querySelector(".fold").addEventListener("click", () => {
    box.folding = true;
    box.open = new Set(box.open.size < box.data.folds.length ? box.data.folds.map((fold) => fold.id) : []);
    draw(box);
    fit(box);
  });
  svg.addEventListener("keydown", (event) => {
    if (["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) choose(box, move(box, event.key));
    else if (event.key === "Enter" || event.key === " ") {
      const element = box.elements.find((one) => one.group === event.target);
      if (element) choose(box, element, true);
    } else if (event.key === "+" || event.key === "=") zoom(box, 1.25);
    else if (event.key === "-") zoom(box, 0.8);
    else if (event.key === "0") fit(box);
    else if (event.key === "Escape") tip(box);
    else return;
    event.preventDefault();
  });
  root.querySelector(".tools").addEventListener("click", (event) => {
    const act = { in: () => zoom(box, 1.25), out: () => zoom(box, 0.8), fit: () => fit(box), svg: () => save(box) }[event.target.dataset.do];
    if (act) act();
  });
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = canvas.getBoundingClientRect();
    zoom(box, Math.exp(-event.deltaY / 300), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  svg.addEventListener("pointerdown", (event) => {
    if (event.button || event.target.closest(".node")) return;
    const from = { x: event.clientX - box.view.x, y: event.clientY - box.view.y };
    svg.setPointerCapture(event.pointerId);
    svg.classList.add("dragging");
    svg.onpointermove = (moved) => {
      box.view = { ...box.view, x: moved.clientX - from.x, y: moved.clientY - from.y };
      box.moved = true;
      look(box);
    };
    svg.onpointerup = svg.onpointercancel = () => { svg.onpointermove = null; svg.classList.remove("dragging"); };
  });
  root.addEventListener("transitionend", (event) => { // the theme changed
    if (event.target === root && event.propertyName === "background-color") paint(box);
  });
  box.observer = new ResizeObserver(() => { if (!box.moved) fit(box); });
  box.observer.observe(canvas);
  // A report that comes after the click that leaves the page would run a fragment of a page that is gone: an empty page.
  box.hasten = () => { if (box.timer !== undefined) tell(box); };
  window.addEventListener("pointerdown", box.hasten, true);
}

function take(box, data) {
  // New data: nodes that stay keep their place in view, the folds that are open stay open.
  const before = box.data?.slots.map((slot) => slot.id).join();
  box.data = data;
  box.foldOf = new Map(data.folds.flatMap((fold) => fold.slots.map((slot) => [slot, fold])));
  const same = before === data.slots.map((slot) => slot.id).join();
  if (!same) box.open = new Set(data.folded ? [] : data.folds.map((fold) => fold.id));
  const lenses = box.root.querySelector(".lenses");
  lenses.replaceChildren(...data.lenses.map((lens) => Object.assign(document.createElement("button"), { type: "button", textContent: lens.name, title: lens.explained })));
  data.lenses.forEach((lens, i) => { lenses.children[i].dataset.lens = lens.id; lenses.children[i].setAttribute("role", "radio"); });
  const warning = box.root.querySelector(".warning");
  warning.hidden = !data.folded;
  warning.textContent = data.folded ? `${data.slots.length.toLocaleString("en")} layers: repeated ones are folded. Click a stack to unfold it, or find an operation by name.` : "";
  box.svg.setAttribute("aria-label", data.title);
  return same;
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  const root = parentElement.querySelector(".graph");
  if (!root || !data) return undefined;
  const canvas = root.querySelector(".canvas");
  const known = boxes.get(root);
  const box = known || { root, canvas, svg: root.querySelector("svg"), query: "", open: new Set() };
  boxes.set(root, box);
  box.setStateValue = setStateValue;
  const { start } = data, fresh = box.turn !== start.turn;
  const changed = box.data?.id !== data.id;
  if (fresh) {
    box.turn = start.turn;
    box.stop = Math.max(data.stops.findIndex((stop) => stop.id === start.stop), 0);
    box.lens = start.lens;
    box.selected = start.node;
  }
  const same = changed ? take(box, data) : true;
  box.stop = Math.min(box.stop, data.stops.length - 1);
  if (!known) listen(box);
  if (changed) draw(box);
  else if (fresh) paint(box);
  if (!same || !box.view) fit(box);
  canvas.dataset.ready = "yes";
  return () => {
    if (root.isConnected) return;
    clearTimeout(box.timer);
    window.removeEventListener("pointerdown", box.hasten, true);
    box.observer?.disconnect();
    boxes.delete(root);
  };
}
