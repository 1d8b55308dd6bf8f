"use strict";
// Draws the figures of the page in the theme that is shown, switches panes, and saves tables as CSV. Nothing is fetched.
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const figures = read("figures"), root = document.documentElement;
const settings = {displaylogo: false, responsive: true, toImageButtonOptions: {format: "svg"},
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"]};

function draw() {
  const dark = root.dataset.theme === "dark";
  for (const box of document.querySelectorAll(".figure")) {
    if (box.offsetParent === null) continue; // a hidden pane has no width; it is drawn when it is shown
    const figure = figures[box.dataset.figure][dark ? "dark" : "light"];
    Plotly.react(box, figure.data, figure.layout, {...settings,
      toImageButtonOptions: {format: "svg", filename: box.dataset.figure}});
  }
}

function setTheme(name) {
  root.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "Light" : "Dark";
  draw();
}

function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const cell = (value) => value === null ? "" : typeof value === "number" ? String(value) : '"' + String(value).replaceAll('"', '""') + '"';

function csv(table) {
  const names = Object.keys(table), rows = names.length ? table[names[0]].length : 0;
  const lines = Array.from({length: rows}, (_, i) => names.map((name) => cell(table[name][i])).join(","));
  return [names.map(cell).join(","), ...lines].join("\n") + "\n";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "theme") setTheme(root.dataset.theme === "dark" ? "light" : "dark");
  if (button.id === "json") save("review.json", JSON.stringify(read("bundle"), null, 1) + "\n", "application/json");
  if (button.dataset.csv) save(button.dataset.csv + ".csv", csv(read("bundle").results.tables[button.dataset.csv]), "text/csv");
  if (button.dataset.pane) {
    const group = button.closest(".panes");
    for (const other of group.querySelectorAll("button[data-pane]")) other.setAttribute("aria-pressed", other === button);
    for (const pane of group.querySelectorAll(".pane")) pane.hidden = pane.id !== button.dataset.pane;
    draw();
  }
});
document.addEventListener("toggle", draw, true);
setTheme(root.dataset.theme);
root.dataset.ready = "yes";
