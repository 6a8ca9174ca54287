// Layers over a film: maps in two colours, outlines and boxes of a model. Values are interpolated, never colours.

/** Fill a canvas of the image's own size. `stored` is Uint8Array or Uint16Array [H * W], or RGB [H * W * 3]. */
function paintFilm(canvas, image, stored, table) {
  const out = new ImageData(image.w, image.h);
  const pixels = new Uint32Array(out.data.buffer);
  if (image.kind === "rgb") {
    for (let i = 0, j = 0; i < pixels.length; i++, j += 3) {
      const r = table[stored[j]] & 255, g = table[stored[j + 1]] & 255, b = table[stored[j + 2]] & 255;
      pixels[i] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
  } else {
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[stored[i]];
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
}

/** Colour of a value 0..1 on a ramp of equally spaced stops. */
function rampColour(stops, value) {
  const x = clamp(value, 0, 1) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(x));
  return [0, 1, 2].map((k) => stops[i][k] + (stops[i + 1][k] - stops[i][k]) * (x - i));
}

/** Opacity grows with the value, so that no evidence is no colour. */
const veil = (value, look) => (value < look.threshold ? 0 : look.opacity * clamp(value, 0, 1));

/**
 * Raise a map to a finer grid, bilinear between cell centres, edge values held: the rule of Geometry.raise_map.
 * Returns Float32Array [h * w].
 */
function raise(map, w, h) {
  const out = new Float32Array(w * h);
  const column = new Int32Array(w), share = new Float32Array(w);
  for (let x = 0; x < w; x++) {
    const at = clamp(((x + 0.5) * map.w) / w - 0.5, 0, map.w - 1);
    column[x] = Math.min(Math.floor(at), Math.max(0, map.w - 2));
    share[x] = at - column[x];
  }
  const right = map.w > 1 ? 1 : 0;
  for (let y = 0, i = 0; y < h; y++) {
    const at = clamp(((y + 0.5) * map.h) / h - 0.5, 0, map.h - 1);
    const row = Math.min(Math.floor(at), Math.max(0, map.h - 2)), v = at - row;
    const upper = row * map.w, lower = map.h > 1 ? upper + map.w : upper;
    for (let x = 0; x < w; x++, i++) {
      const c = column[x], u = share[x];
      const a = map.values[upper + c] * (1 - u) + map.values[upper + c + right] * u;
      const b = map.values[lower + c] * (1 - u) + map.values[lower + c + right] * u;
      out[i] = a * (1 - v) + b * v;
    }
  }
  return out;
}

/** Paint raised values: for and against by sign, nothing below the threshold. */
function paintMap(canvas, raised, look, ramps) {
  const side = (stops) => Uint32Array.from({ length: 256 }, (_, i) => {
    const [r, g, b] = rampColour(stops, i / 255).map(Math.round);
    return ((Math.round(255 * veil(i / 255, look)) << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
  const above = side(ramps.for), below = side(ramps.against);
  const out = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(out.data.buffer);
  for (let i = 0; i < pixels.length; i++) {
    const v = raised[i], size = Math.abs(v);
    if (size >= look.threshold && size > 0) pixels[i] = (v < 0 ? below : above)[Math.min(255, Math.round(size * 255))];
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
}

/** Marching squares at +-threshold over raised values [h * w]; a Path2D in units of the whole map (0..1). */
function outline(raised, w, h, threshold, sign) {
  const path = new Path2D();
  const at = (x, y) => sign * raised[y * w + x];
  const cut = (p, q) => (threshold - p) / (q - p);
  for (let y = 0; y < h - 1; y++) {
    for (let x = 0; x < w - 1; x++) {
      const a = at(x, y), b = at(x + 1, y), c = at(x + 1, y + 1), d = at(x, y + 1), ends = [];
      if (a < threshold !== b < threshold) ends.push(x + cut(a, b), y);
      if (b < threshold !== c < threshold) ends.push(x + 1, y + cut(b, c));
      if (d < threshold !== c < threshold) ends.push(x + cut(d, c), y + 1);
      if (a < threshold !== d < threshold) ends.push(x, y + cut(a, d));
      for (let i = 0; i + 3 < ends.length; i += 4) {
        path.moveTo((ends[i] + 0.5) / w, (ends[i + 1] + 0.5) / h);
        path.lineTo((ends[i + 2] + 0.5) / w, (ends[i + 3] + 0.5) / h);
      }
    }
  }
  return path;
}

/** A map as it came (int32 rows, columns; float32 values) in units of its scale, raised fine enough to outline. */
function readMap(buffer, spec, image, side) {
  const [h, w] = new Int32Array(buffer, 0, 2), values = new Float32Array(buffer, 8).map((v) => v / spec.scale);
  const shrink = Math.min(1, side / Math.max(image.w, image.h));
  const rw = Math.max(w, Math.round(image.w * shrink)), rh = Math.max(h, Math.round(image.h * shrink));
  const raised = raise({ w, h, values }, rw, rh);
  const max = spec.max ?? raised.reduce((a, b) => Math.max(a, b), 0);
  return { raw: spec.raw, raised, rw, rh, max, painted: "", canvas: Object.assign(el("canvas"), { width: rw, height: rh }) };
}

/** Draw a map where `m` (canvas pixels) puts the image; `ramps` as numbers, `lines` as the colours of the outline. */
function drawMap(c, map, image, m, look, ramps, lines, dpr) {
  const now = [look.opacity, look.threshold].join(), t = look.threshold;
  if (map.painted !== now) {
    paintMap(map.canvas, map.raised, look, ramps);
    map.lines = t > 0 ? [1, -1].map((sign) => outline(map.raised, map.rw, map.rh, t, sign)) : [];
    map.painted = now;
  }
  c.save();
  c.setTransform(...m);
  c.drawImage(map.canvas, 0, 0, image.w, image.h);
  c.restore();
  map.lines.forEach((path, i) => {
    const placed = new Path2D();
    placed.addPath(path, new DOMMatrix(m).scale(image.w, image.h));
    c.lineWidth = 1.25 * dpr;
    c.strokeStyle = lines[i];
    c.stroke(placed);
  });
}

/** Area of the image where a map reaches the threshold, either way, in real units; counted once a threshold. */
function areaAbove(map, image, threshold) {
  if (map.counted?.[0] !== threshold) {
    map.counted = [threshold, map.raised.reduce((n, v) => n + (Math.abs(v) >= threshold), 0)];
  }
  const [column, row] = metric(image);
  return (map.counted[1] / (map.rw * map.rh)) * image.w * column * image.h * row;
}

/** Value of a map at a place of the image; null outside. */
function mapAt(map, image, [x, y]) {
  const u = Math.floor((x / image.w) * map.rw), v = Math.floor((y / image.h) * map.rh);
  return u >= 0 && v >= 0 && u < map.rw && v < map.rh ? map.raised[v * map.rw + u] : null;
}

/** Words for an outline or a box of a model: its label, score, and size with the source of the spacing. */
function regionWords(image, region) {
  const [column, row, unit] = metric(image), from = unit === "mm" && image.source ? ` (${image.source})` : "";
  const score = region.score === null ? "" : ` ${region.score.toFixed(2)}`;
  if (region.kind === "box") {
    const [[x0, y0], , [x1, y1]] = region.points;
    const sides = [lengthOf(image, [x0, y0], [x1, y0]), lengthOf(image, [x0, y0], [x0, y1])];
    return `${region.label}${score}\n${sides.map(short).join(" × ")} ${unit}${from}`;
  }
  const area = region.area === null ? polygonArea(image, region.points) : region.area * column * row;
  return `${region.label}${score}\n${short(area)} ${unit}²${from}`;
}

/** Outlines and boxes of a model, in the colour of evidence. */
function drawRegions(c, regions, image, m, colour, dpr) {
  for (const region of regions) {
    const points = region.points.map((p) => toScreen(m, p));
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.closePath();
    c.lineWidth = 1.5 * dpr;
    c.strokeStyle = colour;
    c.stroke();
    const x = Math.max(...points.map((p) => p[0])), y = Math.min(...points.map((p) => p[1]));
    caption(c, regionWords(image, region), x + 4 * dpr, y, dpr, "#E9A35C");
  }
}

/** Lines of text on a dark ground, kept inside the canvas. */
function caption(c, text, x, y, dpr, colour) {
  const lines = text.split("\n"), high = 16 * dpr;
  c.font = `${12 * dpr}px ${c.family ?? "sans-serif"}`;
  const wide = Math.max(...lines.map((line) => c.measureText(line).width)) + 8 * dpr;
  const left = clamp(x, 0, Math.max(0, c.canvas.width - wide)), top = clamp(y, 0, Math.max(0, c.canvas.height - high * lines.length));
  c.fillStyle = "rgb(0 0 0 / 70%)";
  c.fillRect(left, top, wide, high * lines.length);
  c.fillStyle = colour;
  c.textBaseline = "middle";
  c.textAlign = "left";
  lines.forEach((line, i) => c.fillText(line, left + 4 * dpr, top + high * (i + 0.5)));
}

/** The colour bar: the whole absolute scale over mid grey, this image's maximum, the threshold. */
function drawScale(canvas, bar, look, ramps, own, family) {
  const c = canvas.getContext("2d"), w = canvas.clientWidth, h = canvas.clientHeight, dpr = devicePixelRatio || 1;
  const x = 8, wide = 12, top = 34, bottom = h - 34, lowest = bar.signed ? -1 : 0;
  const toY = (v) => bottom - ((v - lowest) / (1 - lowest)) * (bottom - top);
  canvas.width = w * dpr;
  canvas.height = h * dpr;
  c.scale(dpr, dpr);
  for (let y = top; y < bottom; y++) {
    const v = lowest + ((bottom - y) / (bottom - top)) * (1 - lowest), size = Math.abs(v), a = look.map ? veil(size, look) : 0;
    const colour = rampColour(v < 0 ? ramps.against : ramps.for, size).map((q) => Math.round(q * a + 70 * (1 - a)));
    c.fillStyle = `rgb(${colour})`;
    c.fillRect(x, y, wide, 1);
  }
  c.font = "12px " + family;
  c.textBaseline = "middle";
  c.fillStyle = "#9EA4A9";
  for (let v = lowest; v <= 1.001; v += 0.5) {
    c.fillRect(x + wide, Math.round(toY(v)), 4, 1);
    c.fillText((v < 0 ? "−" : "") + Math.abs(v).toFixed(1), x + wide + 7, toY(v));
  }
  c.fillText(bar.high, x, 14);
  c.fillText(bar.low, x, h - 14);
  if (own) {
    const y = toY(Math.min(1, own.max)), beside = [0, 0.5, 1].find((v) => Math.abs(toY(v) - y) < 12);
    c.fillStyle = "#D3D7DA";
    c.fillRect(x - 6, Math.round(y), wide + 10, 2);
    c.fillText("max " + figure(own.max), x + wide + 7, beside === undefined ? y : toY(beside) + (beside === 0 ? -14 : 14));
  }
  if (look.threshold > 0) {
    const y = toY(look.threshold);
    c.fillStyle = "#E9A35C";
    c.beginPath();
    c.moveTo(x, y);
    c.lineTo(x - 7, y - 4);
    c.lineTo(x - 7, y + 4);
    c.fill();
  }
}
