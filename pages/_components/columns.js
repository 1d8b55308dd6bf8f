// The columns of a file as a table: how each is read, changed by a list in its line. Python hears of all changes since the last
// turn through the state "said"; a new turn lets them go. Which lines are shown is the browser's affair.
const boxes = new WeakMap();
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 60, HEIGHT = 24;

function make(name, parent, text, attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function bars(counts) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", counts.length ? `Rows: ${counts.join(", ")}` : "No histogram");
  const most = Math.max(...counts, 1), slot = WIDTH / Math.max(counts.length, 3);
  counts.forEach((count, i) => {
    const bar = document.createElementNS(SVG, "rect"), tall = count ? Math.max((count / most) * HEIGHT, 1.5) : 0;
    const size = { x: i * slot + 0.5, y: HEIGHT - tall, width: Math.max(slot - 1.5, 1), height: tall, fill: "currentColor", rx: 0.5 };
    for (const [key, value] of Object.entries(size)) bar.setAttribute(key, value);
    picture.append(bar);
  });
  return picture;
}

const group = (role) => role.split(":")[0];
const kinds = (box) => Object.fromEntries(box.data.roles.flatMap((one) => one.options.map((option) => [option.value, one.name])));
const label = (box, role) => box.data.roles.flatMap((one) => one.options).find((one) => one.value === role)?.label ?? role;

function tell(box, line, role) {
  box.changes[line.name] = role;
  box.root.classList.add("busy");
  send(box);
}

function send(box) {
  box.count = (box.count ?? 0) + 1; // a message that is sent again differs from the one before
  box.setStateValue("said", { turn: box.data.turn, roles: { ...box.changes }, count: box.count });
}

function sendAgain(box) {
  // What came back may lack a change that was told while the page ran for another: it is told once more, and only once.
  const all = JSON.stringify(box.changes);
  const lacks = box.data.lines.some((line) => line.name in box.changes && line.role !== box.changes[line.name]);
  if (!lacks || box.again === all) return;
  box.again = all;
  send(box);
}

function roleCell(box, cell, line) {
  if (!box.data.editable) {
    make("div", cell, label(box, line.role));
  } else {
    const list = make("select", cell, undefined, { "aria-label": `Role of ${line.name}` });
    for (const one of box.data.roles) {
      const parent = one.options.length > 1 ? make("optgroup", list, undefined, { label: one.name }) : list;
      for (const option of one.options) make("option", parent, option.label, { value: option.value });
    }
    list.value = line.role;
    list.addEventListener("change", () => tell(box, line, list.value));
  }
  if (line.said) make("div", cell, line.found ? `changed, was ${line.found}` : "changed by you", { class: "quiet" });
}

function draw(box) {
  const body = box.root.querySelector("tbody"), active = box.root.getRootNode().activeElement?.getAttribute?.("aria-label");
  body.replaceChildren();
  for (const line of box.data.lines) {
    const row = make("tr", body, undefined, { class: `${group(line.role)}${line.said ? " said" : ""}` });
    const name = make("td", row);
    make("div", name, line.name, { class: "name" });
    make("div", name, line.facts, { class: "quiet" });
    roleCell(box, make("td", row), line);
    const values = make("div", make("td", row), undefined, { class: "values" });
    values.append(bars(line.bars));
    make("div", values, line.examples, { class: "quiet examples", title: line.examples });
    make("div", make("td", row), line.why, { class: "quiet" });
  }
  if (active?.startsWith("Role of ")) [...body.querySelectorAll("select")].find((one) => one.ariaLabel === active)?.focus();
}

function filter(box) {
  const of = kinds(box), wanted = box.root.querySelector("input").value.trim().toLowerCase();
  let seen = 0;
  [...box.root.querySelectorAll("tbody tr")].forEach((row, i) => {
    const line = box.data.lines[i], right = box.only === "All" || (box.only === "Changed" ? line.said : of[line.role] === box.only);
    row.hidden = !right || !line.name.toLowerCase().includes(wanted);
    seen += !row.hidden;
  });
  box.root.querySelector(".none").hidden = seen > 0;
}

function choices(box) {
  const of = kinds(box), bar = box.root.querySelector(".shown"), { lines } = box.data;
  const count = (name) => lines.filter((line) => (name === "Changed" ? line.said : of[line.role] === name)).length;
  const names = [...box.data.roles.map((one) => one.name), "Changed"].filter((name) => count(name));
  if (!names.includes(box.only)) box.only = "All";
  bar.replaceChildren();
  for (const name of ["All", ...names]) {
    const button = make("button", bar, name, { type: "button", "aria-pressed": name === box.only });
    make("span", button, String(name === "All" ? lines.length : count(name)));
    button.addEventListener("click", () => {
      box.only = name;
      bar.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", one === button));
      filter(box);
    });
  }
}

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  const root = parentElement.querySelector(".columns");
  if (!root || !data) return undefined;
  const known = boxes.get(root), box = known || { root, only: "All", changes: {} };
  boxes.set(root, box);
  box.setStateValue = setStateValue;
  if (box.data?.turn !== data.turn) box.changes = {};
  const changed = box.data?.id !== data.id;
  box.data = data;
  root.classList.toggle("dark", data.theme === "dark");
  root.classList.remove("busy");
  root.style.setProperty("--above", `${data.above}px`);
  if (!known) root.querySelector("input").addEventListener("input", () => filter(box));
  if (changed) {
    draw(box);
    choices(box);
    filter(box);
  }
  root.dataset.read = data.id;
  sendAgain(box);
  return () => { if (!root.isConnected) boxes.delete(root); };
}
