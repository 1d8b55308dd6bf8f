// One vis-network a box, kept between reruns: a recolouring updates the nodes and keeps layout and selection.
const boxes = new WeakMap();

function whenLoaded(callback, tries = 0) {
  if (globalThis.vis) callback();
  else if (tries < 400) setTimeout(() => whenLoaded(callback, tries + 1), 25);
}

function inputLook(node, data) {
  const dark = data.theme === "dark";
  const colour = { background: dark ? "#262b36" : "#eceef2", border: dark ? "#6b7280" : "#9aa0ad" };
  return {
    id: node.id, label: node.label, x: node.x, y: node.y, shape: "circle", physics: false, chosen: false, margin: 2, borderWidth: 1.5,
    widthConstraint: { minimum: 2 * data.radius - 4, maximum: 2 * data.radius - 4 },
    color: { ...colour, highlight: colour, hover: colour }, font: { color: dark ? "#e8eaf0" : "#1b1f27", size: 13, face: "Source Sans, sans-serif" },
  };
}

function looks(box) {
  return [...box.data.inputs.map((n) => inputLook(n, box.data)), ...box.data.nodes.map((n) => look(n, box.selected, box.data))];
}

function look(node, selected, data) {
  const round = node.kind === "sum";
  const chosen = node.id === selected;
  const ink = data.theme === "dark" ? "#ffffff" : "#14161c";
  const colour = { background: node.fill, border: chosen ? ink : node.line };
  return {
    id: node.id, label: node.label, x: node.x, y: node.y, shape: round ? "circle" : "box", physics: false, margin: round ? 2 : 8,
    widthConstraint: round ? { minimum: 2 * data.radius - 4, maximum: 2 * data.radius - 4 } : { minimum: data.width - 18, maximum: data.width - 18 },
    ...(round ? {} : { heightConstraint: { minimum: data.height - 18 } }),
    borderWidth: chosen ? 4 : 1.5, borderWidthSelected: 4, color: { ...colour, highlight: { background: node.fill, border: ink }, hover: colour },
    font: { color: node.ink, size: 13, face: "Source Sans, sans-serif", multi: false }, title: tip(node.title),
    shapeProperties: { borderRadius: 5 },
  };
}

function tip(text) {
  const box = document.createElement("div");
  box.style.whiteSpace = "pre-line";
  box.style.maxWidth = "340px";
  box.textContent = text;
  return box;
}

function edge(e) {
  const smooth = e.across ? { enabled: true, type: "cubicBezier", forceDirection: "horizontal", roundness: 0.5 } : { enabled: false };
  return { id: e.id, from: e.from, to: e.to, arrows: { to: { enabled: true, scaleFactor: 0.6 } }, color: "#8b92a0", width: 1.4, smooth, chosen: false };
}

function drawFrames(context, data) {
  context.lineWidth = 1;
  context.font = "600 14px sans-serif";
  context.textAlign = "center";
  for (const frame of data.frames) {
    const b = frame.box;
    context.fillStyle = data.theme === "dark" ? "rgba(255,255,255,0.035)" : "rgba(20,30,60,0.03)";
    context.strokeStyle = data.theme === "dark" ? "#4a5262" : "#c3c8d2";
    context.beginPath();
    context.roundRect(b.x0, b.y0, b.x1 - b.x0, b.y1 - b.y0, 8);
    context.fill();
    context.stroke();
    context.fillStyle = data.theme === "dark" ? "#e8eaf0" : "#1b1f27";
    context.fillText(frame.label, frame.x, b.y0 - 8);
  }
}

function drawLegend(root, legend) {
  root.querySelector(".title").textContent = legend.title;
  root.querySelector(".strip").style.background = `linear-gradient(90deg, ${legend.stops.join(", ")})`;
  root.querySelector(".mark").style.left = `${legend.centre * 100}%`;
  root.querySelectorAll(".labels span").forEach((span, i) => { span.textContent = legend.labels[i]; });
}

function fit(box) {
  const { network, data } = box;
  const inputs = data.inputs.map((n) => n.x - data.radius - 6);
  const x0 = Math.min(...inputs, ...data.frames.map((f) => f.box.x0)), x1 = Math.max(...data.frames.map((f) => f.box.x1));
  const y0 = Math.min(...data.frames.map((f) => f.box.y0)) - 26, y1 = Math.max(...data.frames.map((f) => f.box.y1));
  const { clientWidth, clientHeight } = box.canvas;
  const scale = Math.min(1.15, (clientWidth - 24) / (x1 - x0), (clientHeight - 20) / (y1 - y0));
  network.moveTo({ position: { x: (x0 + x1) / 2, y: (y0 + y1) / 2 }, scale, animation: false });
}

function select(box, id) {
  if (!id || id === box.selected || !box.data.nodes.some((n) => n.id === id)) return;
  box.selected = id;
  box.nodes.update(looks(box));
  box.network.unselectAll();
  box.report("node", id);
}

function build(box) {
  box.nodes = new vis.DataSet(looks(box));
  box.edges = new vis.DataSet(box.data.edges.map(edge));
  box.network = new vis.Network(box.canvas, { nodes: box.nodes, edges: box.edges }, {
    autoResize: false, physics: false, layout: { improvedLayout: false },
    interaction: { dragNodes: false, hover: false, tooltipDelay: 150, zoomView: true, selectConnectedEdges: false, keyboard: false },
  });
  box.network.on("beforeDrawing", (context) => drawFrames(context, box.data));
  box.network.on("click", (event) => select(box, event.nodes[0]));
  box.network.on("hoverNode", () => { box.canvas.style.cursor = "pointer"; });
  box.canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const ids = box.data.nodes.map((n) => n.id);
    const next = Math.min(Math.max(ids.indexOf(box.selected) + step, 0), ids.length - 1);
    select(box, ids[next]);
  });
  box.observer = new ResizeObserver(() => {
    box.network.setSize(`${box.canvas.clientWidth}px`, `${box.canvas.clientHeight}px`);
    box.network.redraw();
    fit(box);
  });
  box.observer.observe(box.canvas);
  fit(box);
  box.canvas.dataset.ready = "yes";
}

function update(box) {
  const shown = new Set(box.nodes.getIds());
  const wanted = new Set([...box.data.inputs, ...box.data.nodes].map((n) => n.id));
  const same = shown.size === wanted.size && [...shown].every((id) => wanted.has(id));
  box.nodes.remove([...shown].filter((id) => !wanted.has(id)));
  box.nodes.update(looks(box));
  if (!same) {
    box.edges.clear();
    box.edges.add(box.data.edges.map(edge));
    fit(box);
  }
  box.network.redraw();
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  const root = parentElement.querySelector(".graph");
  if (!root || !data) return undefined;
  const canvas = root.querySelector(".canvas");
  drawLegend(root, data.legend);
  canvas.setAttribute("aria-label", `Architecture of ${data.nodes.filter((n) => n.kind === "layer").length} layers; arrow keys move the selection`);
  const known = boxes.get(canvas);
  const box = known || { canvas };
  box.data = data;
  canvas.style.height = `${data.box_height}px`;
  box.selected = data.selected;
  box.report = setStateValue;
  boxes.set(canvas, box);
  if (known && known.network) update(box);
  else whenLoaded(() => { if (!box.network) build(box); });
  return () => {
    if (canvas.isConnected) return;
    if (box.observer) box.observer.disconnect();
    if (box.network) box.network.destroy();
    boxes.delete(canvas);
  };
}
