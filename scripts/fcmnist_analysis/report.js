"use strict";
const colors = Array.from({length: 7}, (_, k) => `var(--c${k})`);

/// Tells curves of one colour apart, when there are more of them than colours.
const dashes = number => ["none", "6 3", "2 3", "8 3 2 3"][Math.floor(number / 7) % 4];

function element(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

const short = value => value === 0 ? "0" : Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3 ? value.toExponential(1).replace("e+", "e")
  : Number(value.toPrecision(4)).toLocaleString("en");

/// Round numbers between two limits, about `count` of them; on a logarithmic axis powers of 10 with 2 and 5 between them.
function ticks(low, high, count, log) {
  if (log) {
    const all = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); ++e)
      for (const m of high / low > 1000 ? [1] : high / low > 10 ? [1, 2, 5] : [1, 2, 3, 5, 7]) all.push(m * 10 ** e);
    return all.filter(t => t >= low * 0.999 && t <= high * 1.001);
  }
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
  const all = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) all.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return all;
}

/// A chart of curves over steps: it can be zoomed by dragging, and read off by pointing.
function drawChart(figure, chart) {
  // As wide as its place, so that the text keeps its size on a small screen.
  const width = Math.max(280, Math.min(520, figure.clientWidth - 34)), height = 260, left = 58, right = 12, top = 10, bottom = 30;
  const svg = element("svg", {viewBox: `0 0 ${width} ${height}`, role: "img"});
  const read = document.createElement("div");
  read.className = "read";
  figure.append(svg, read);
  const whole = [Math.min(...chart.series.map(s => s.x[0])), Math.max(...chart.series.map(s => s.x.at(-1)))];
  let range = whole, drag = null, scale = null;

  function limits() {
    let low = Infinity, high = -Infinity;
    for (const s of chart.series)
      s.x.forEach((x, i) => {
        const y = s.y[i];
        if (x < range[0] || x > range[1] || y === null || (chart.log && y <= 0)) return;
        low = Math.min(low, y);
        high = Math.max(high, y);
      });
    if (low > high) return chart.log ? [0.1, 1] : [0, 1];
    if (chart.low !== null && range === whole) return [chart.low, high + 0.05 * (high - chart.low)];
    if (chart.zero) low = 0;
    if (low === high) return chart.log ? [low / 2, high * 2] : [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
    const margin = 0.05 * (high - low);
    return chart.log ? [low / 1.1, high * 1.1] : [chart.zero ? 0 : low - margin, high + margin];
  }

  function draw() {
    const [low, high] = limits(), [first, last] = range;
    const inner = width - left - right, tall = height - top - bottom;
    const at = chart.log ? y => Math.log(y / low) / Math.log(high / low) : y => (y - low) / (high - low);
    scale = {x: x => left + inner * (last > first ? (x - first) / (last - first) : 0.5), y: y => top + tall * (1 - at(y)),
             step: px => first + (px - left) / inner * (last - first)};
    svg.replaceChildren();
    for (const t of ticks(low, high, 5, chart.log)) {
      svg.append(element("line", {x1: left, x2: width - right, y1: scale.y(t), y2: scale.y(t), class: "axis"}));
      svg.append(element("text", {x: left - 6, y: scale.y(t) + 4, "text-anchor": "end"}, short(t)));
    }
    for (const t of ticks(first, Math.max(last, first + 1), width < 400 ? 3 : 5, false).filter(t => t <= last && scale.x(t) < width - right - 45))
      svg.append(element("text", {x: scale.x(t), y: height - 10, "text-anchor": "middle"}, t.toLocaleString("en")));
    svg.append(element("text", {x: width - right, y: height - 10, "text-anchor": "end"}, "step"));
    chart.series.forEach(s => {
      let path = "", pen = "M";
      const dots = [];
      s.x.forEach((x, i) => {
        const y = s.y[i];
        if (x < first || x > last || y === null || y < low || (chart.log && y <= 0)) { pen = "M"; return; }
        path += `${pen}${scale.x(x).toFixed(1)} ${scale.y(y).toFixed(1)}`;
        pen = "L";
        if (s.points) dots.push(element("circle", {cx: scale.x(x), cy: scale.y(y), r: 2.6, fill: colors[s.color % 7]}));
      });
      svg.append(element("path", {d: path, fill: "none", stroke: colors[s.color % 7], "stroke-width": 1.6, "stroke-linejoin": "round",
                                   "stroke-dasharray": dashes(s.color)}), ...dots);
    });
    say(null);
  }

  /// The numbers nearest to a step; without one, what each colour means.
  function say(step) {
    read.replaceChildren();
    if (step !== null) read.append(`step ${Math.round(step).toLocaleString("en")}  `);
    chart.series.forEach(s => {
      const name = document.createElement("b");
      name.style.color = colors[s.color % 7];
      name.textContent = s.name;
      name.style.textDecoration = ["none", "underline dashed", "underline dotted", "underline double"][Math.floor(s.color / 7) % 4];
      read.append(name, " ");
      if (step === null) return read.append("  ");
      let best = -1;
      s.x.forEach((x, i) => { if (s.y[i] !== null && (best < 0 || Math.abs(x - step) < Math.abs(s.x[best] - step))) best = i; });
      read.append(best < 0 ? "-  " : `${short(s.y[best])}  `);
    });
  }

  const place = event => {
    const box = svg.getBoundingClientRect();
    return Math.min(width - right, Math.max(left, (event.clientX - box.left) / box.width * width));
  };
  svg.addEventListener("pointerdown", event => {
    drag = {from: place(event), shade: element("rect", {y: top, height: height - top - bottom, fill: "var(--c0)", opacity: 0.15})};
    svg.append(drag.shade);
  });
  svg.addEventListener("pointermove", event => {
    const px = place(event);
    say(scale.step(px));
    if (!drag) return;
    drag.shade.setAttribute("x", Math.min(px, drag.from));
    drag.shade.setAttribute("width", Math.abs(px - drag.from));
  });
  window.addEventListener("pointerup", event => {
    if (!drag) return;
    const from = drag.from, to = place(event);
    drag.shade.remove();
    drag = null;
    if (Math.abs(to - from) < 8) return;
    range = [scale.step(Math.min(from, to)), scale.step(Math.max(from, to))];
    draw();
  });
  svg.addEventListener("pointerleave", () => { if (!drag) say(null); });
  svg.addEventListener("dblclick", () => { range = whole; draw(); });
  draw();
}

/// How often the network is right, by how sure it is. The area of a point grows with its images.
function drawReliability(figure, found) {
  const size = 300, left = 44, bottom = 34, top = 14, inner = size - left - 20, tall = size - top - bottom;
  const svg = element("svg", {viewBox: `0 0 ${size} ${size}`, role: "img", style: "max-width: 420px; cursor: default"});
  const x = v => left + inner * v, y = v => top + tall * (1 - v);
  for (const t of [0, 0.25, 0.5, 0.75, 1]) {
    svg.append(element("line", {x1: left, x2: left + inner, y1: y(t), y2: y(t), class: "axis"}));
    svg.append(element("text", {x: left - 6, y: y(t) + 4, "text-anchor": "end"}, `${100 * t} %`));
    svg.append(element("text", {x: x(t), y: size - 18, "text-anchor": "middle"}, `${100 * t} %`));
  }
  svg.append(element("text", {x: x(0.5), y: size - 3, "text-anchor": "middle"}, "probability that the network gives"));
  svg.append(element("line", {x1: x(0), y1: y(0), x2: x(1), y2: y(1), stroke: "var(--pale)", "stroke-dasharray": "4 4"}));
  const most = Math.max(...found.samples);
  found.confidence.forEach((confidence, i) => {
    const point = element("circle", {cx: x(confidence), cy: y(found.accuracy[i]), r: 3 + 7 * Math.sqrt(found.samples[i] / most),
                                     fill: "var(--c0)", "fill-opacity": 0.75});
    point.append(element("title", {}, `${found.samples[i].toLocaleString("en")} images: says ${(100 * confidence).toFixed(1)} %, right ${(100 * found.accuracy[i]).toFixed(1)} %`));
    svg.append(point);
  });
  figure.append(svg);
}

/// The network, on this page.
function makeNetwork(description) {
  const layers = description.layers.map(layer => ({...layer, weight: Int8Array.from(atob(layer.weight), c => c.charCodeAt(0))}));
  return pixels => {
    let values = pixels.map(p => (p / description.scale - description.mean) / description.deviation);
    layers.forEach((layer, number) => {
      const out = new Array(layer.outputs);
      for (let o = 0; o < layer.outputs; ++o) {
        let sum = 0;
        for (let i = 0, at = o * layer.inputs; i < layer.inputs; ++i) sum += layer.weight[at + i] * values[i];
        sum = sum * layer.scale[o] + layer.bias[o];
        out[o] = number + 1 < layers.length ? Math.max(sum, 0) : sum;
      }
      values = out;
    });
    const top = Math.max(...values), powers = values.map(v => Math.exp(v - top)), total = powers.reduce((a, b) => a + b);
    return powers.map(p => p / total);
  };
}

/// 28 x 28 pixels of what is drawn, as MNIST was made: its box is scaled to fit 20 x 20, and its centre of mass put into the
/// middle (LeCun, Bottou, Bengio, Haffner, Proc. IEEE 86 (1998), section III A). null if nothing is drawn.
function likeMnist(canvas) {
  const {width, height} = canvas, ink = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let left = width, right = -1, top = height, bottom = -1;
  for (let y = 0; y < height; ++y)
    for (let x = 0; x < width; ++x)
      if (ink[4 * (y * width + x) + 3] > 32) {
        left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
      }
  if (right < 0) return null;
  const wide = right - left + 1, tall = bottom - top + 1, factor = 20 / Math.max(wide, tall);
  const put = (dx, dy) => {
    const small = document.createElement("canvas");
    small.width = small.height = 28;
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(canvas, left, top, wide, tall, 14 - wide * factor / 2 + dx, 14 - tall * factor / 2 + dy, wide * factor, tall * factor);
    const data = context.getImageData(0, 0, 28, 28).data;
    return Array.from({length: 784}, (_, i) => data[4 * i + 3]);
  };
  const centred = put(0, 0);
  let mass = 0, x = 0, y = 0;
  centred.forEach((p, i) => { mass += p; x += p * (i % 28 + 0.5); y += p * (Math.floor(i / 28) + 0.5); });
  return put(Math.round(14.5 - x / mass), Math.round(14.5 - y / mass));  // where that of MNIST's images is
}

function startPad(description) {
  const classify = makeNetwork(description), canvas = document.getElementById("pad"), context = canvas.getContext("2d", {willReadFrequently: true});
  const bars = document.getElementById("bars"), seen = document.getElementById("seen").getContext("2d");
  let last = null;
  const rows = description.names.map(name => {
    const row = document.createElement("div");
    row.className = "bar";
    row.innerHTML = "<b></b><div><i class=c0></i></div><span></span>";
    row.firstChild.textContent = name;
    bars.append(row);
    return row;
  });
  function show() {
    const pixels = likeMnist(canvas), image = seen.createImageData(28, 28);
    for (let i = 0; i < 784; ++i) image.data[4 * i + 3] = pixels ? pixels[i] : 0;
    seen.putImageData(image, 0, 0);
    const said = pixels ? classify(pixels) : description.names.map(() => 0), best = Math.max(...said);
    rows.forEach((row, k) => {
      row.classList.toggle("best", pixels !== null && said[k] === best);
      row.querySelector("i").style.width = `${100 * said[k]}%`;
      row.lastChild.textContent = pixels ? `${(100 * said[k]).toFixed(1)} %` : "";
    });
  }
  const place = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * canvas.width, (event.clientY - box.top) / box.height * canvas.height];
  };
  const line = event => {
    const [x, y] = place(event);
    context.lineWidth = 22;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#000";
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(x, y + 0.01);
    context.stroke();
    last = [x, y];
    show();
  };
  canvas.addEventListener("pointerdown", event => { canvas.setPointerCapture(event.pointerId); last = place(event); line(event); });
  canvas.addEventListener("pointermove", event => { if (last) line(event); });
  canvas.addEventListener("pointerup", () => { last = null; });
  document.getElementById("clear").addEventListener("click", () => { context.clearRect(0, 0, canvas.width, canvas.height); show(); });
  show();
}

for (const figure of document.querySelectorAll("[data-chart]")) drawChart(figure, JSON.parse(figure.dataset.chart));
for (const figure of document.querySelectorAll("[data-reliability]")) drawReliability(figure, JSON.parse(figure.dataset.reliability));
if (network) startPad(network);
