// Every text in sight whose contrast to what is behind it is below a limit. Source: WCAG 2.2, relative luminance.
// Texts on coloured marks of a chart are left out: they are black or white, whichever reads better (tested with colours.py).
(limit) => {
  const linear = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (text) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = "rgba(0,0,0,0)";
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
  const behind = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] >= 1) break;
    }
    return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255]);
  };
  const onMarks = ["rgb(4, 5, 7)", "rgb(255, 255, 255)"];
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element || element.closest("style, script, noscript, [aria-hidden=true], [disabled], canvas")) continue;
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= parseFloat(getComputedStyle(e).opacity || 1);
    if (box.width < 2 || box.height < 2 || style.visibility === "hidden" || opacity < 0.05) continue;
    const drawing = element.closest("svg");
    if (drawing && onMarks.includes(style.fill)) continue;
    const colour = parse(drawing ? style.fill : style.color);
    colour[3] *= opacity * (drawing ? parseFloat(style.fillOpacity || 1) : 1);
    const back = behind(drawing ? drawing.parentElement : element);
    const [one, two] = [luminance(over(colour, back)), luminance(back)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < limit) found.push(`${contrast.toFixed(2)}: ${text.slice(0, 60)}`);
  }
  return found;
};
