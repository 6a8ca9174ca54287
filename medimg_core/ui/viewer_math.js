// Pure functions of the viewer: grey levels, colour ramps, maps. No DOM, no state; joined with viewer.js into one module.

const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Display value 0..1 of a modality value (DICOM PS3.3 C.11.2.1.2); the same formulas as imaging/window.py. */
function shade(x, window) {
  const { centre, width, kind } = window;
  if (kind === "SIGMOID") return 1 / (1 + Math.exp((-4 * (x - centre)) / Math.max(width, 1e-6)));
  const [low, span] = kind === "LINEAR_EXACT" ? [centre - width / 2, width] : [centre - 0.5 - (width - 1) / 2, width - 1];
  return span <= 0 ? Number(x > low) : clamp((x - low) / span, 0, 1);
}

/** Stored value -> RGBA (little endian) for every stored value of an image: one look-up a pixel afterwards. */
function greyTable(image, window, invert, voiLut) {
  const levels = image.kind === "u16" ? 65536 : 256;
  const table = new Uint32Array(levels);
  const flip = image.mono1 !== invert;
  for (let stored = 0; stored < levels; stored++) {
    let grey = voiLut ? voiLut[stored] / 255 : shade(stored * image.slope + image.intercept, window);
    if (flip) grey = 1 - grey;
    const v = Math.round(grey * 255);
    table[stored] = ((255 << 24) | (v << 16) | (v << 8) | v) >>> 0;
  }
  if (image.padding !== null) table[image.padding] = 0xff000000;
  return table;
}

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
