// Drawing arithmetic of the viewer: grey levels, placement, millimetres, statistics. No DOM, no state.
// The viewer's files are joined into one module in the order that viewer.py names; this one comes first.
//
// Image coordinates are continuous, in pixels, from the outer corner of the first pixel: the centre of pixel (0, 0) is
// (0.5, 0.5). A placement is a matrix [a, b, c, d, e, f] from them to the screen, as canvas.setTransform takes it.

const clamp = (v, low, high) => Math.min(high, Math.max(low, v));
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// ---- grey levels --------------------------------------------------------------------------------------------------

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

/** A window from the pixels: the smallest values with 0.5 % and 99.5 % of all pixels at or below; padding left out. */
function autoWindow(image, stored) {
  const counts = new Uint32Array(image.kind === "u16" ? 65536 : 256);
  let total = 0;
  for (const value of stored) {
    if (value !== image.padding || image.kind === "rgb") { counts[value]++; total++; }
  }
  const at = (share) => {
    const wanted = Math.max(1, Math.ceil(share * total));
    let seen = 0, value = 0;
    while (value < counts.length - 1 && (seen += counts[value]) < wanted) value++;
    return value * image.slope + image.intercept;
  };
  const low = total ? at(0.005) : 0, high = total ? at(0.995) : 1;
  return { centre: (low + high) / 2, width: Math.max(high - low, image.slope), kind: "LINEAR_EXACT" };
}

// ---- placement ----------------------------------------------------------------------------------------------------

const COS = [1, 0, -1, 0], SIN = [0, 1, 0, -1];

/** Screen pixels for one column of an image that just fits into w x h, after `turn` quarter turns. */
function fitScale(image, turn, w, h) {
  const tall = image.h * image.aspect;
  return turn % 2 ? Math.min(w / tall, h / image.w) : Math.min(w / image.w, h / tall);
}

/** The same where panes share a scale of their own, `view.fit`. */
const fitted = (image, view, w, h) => view.fit ?? fitScale(image, view.turn, w, h);

/**
 * Where an image lies in a frame of w x h.
 * view: zoom (1 fits), x and y (the place of the image, 0..1, in the middle of the frame), turn (quarter turns
 * clockwise), flip (mirrored left to right before turning).
 */
function placement(image, view, w, h) {
  const k = fitted(image, view, w, h) * view.zoom, cos = COS[view.turn], sin = SIN[view.turn];
  const sx = view.flip ? -k : k, sy = k * image.aspect;
  const [a, b, c, d] = [cos * sx, sin * sx, -sin * sy, cos * sy];
  const x = view.x * image.w, y = view.y * image.h;
  return [a, b, c, d, w / 2 - a * x - c * y, h / 2 - b * x - d * y];
}

const toScreen = (m, [x, y]) => [m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5]];

function toImage(m, [x, y]) {
  const det = m[0] * m[3] - m[1] * m[2], u = x - m[4], v = y - m[5];
  return [(m[3] * u - m[2] * v) / det, (m[0] * v - m[1] * u) / det];
}

/** The same matrix for a canvas whose own pixels are `dpr` to a CSS pixel. */
const denser = (m, dpr) => m.map((v) => v * dpr);

/** The view after zooming by `factor` so that the point under (px, py) stays there. */
function zoomAt(image, view, w, h, factor, px, py) {
  const [ix, iy] = toImage(placement(image, view, w, h), [px, py]);
  const most = Math.max(16, 32 / fitted(image, view, w, h));
  const next = { ...view, zoom: clamp(view.zoom * factor, 1, most) };
  if (next.zoom === 1) return { ...next, x: 0.5, y: 0.5 };
  const m = placement(image, { ...next, x: 0, y: 0 }, w, h), centre = toImage(m, [w - px, h - py]);
  // `m` has image (0, 0) in the middle: the middle must show the point, less the way from the middle to the pointer.
  return { ...next, x: clamp((ix + centre[0]) / image.w, 0, 1), y: clamp((iy + centre[1]) / image.h, 0, 1) };
}

/** The view after moving what is shown by (dx, dy) screen pixels. */
function moveBy(image, view, w, h, dx, dy) {
  const m = placement(image, view, w, h), [x, y] = toImage(m, [w / 2 - dx, h / 2 - dy]);
  return { ...view, x: clamp(x / image.w, 0, 1), y: clamp(y / image.h, 0, 1) };
}

/** The middle of a frame of one image as that of another, as many millimetres from the middle; the same share without. */
function sameMiddle(image, other, x, y) {
  const [c, r, unit] = metric(image), [oc, or, own] = metric(other);
  if (unit !== "mm" || own !== "mm") return { x, y };
  const along = (q, from, to) => clamp(0.5 + ((q - 0.5) * from) / to, 0, 1);
  return { x: along(x, image.w * c, other.w * oc), y: along(y, image.h * r, other.h * or) };
}

/** Patient directions at the edges of the frame (DICOM PS3.3 C.7.6.2); null where the header does not tell. */
function letters(orientation, view) { // six direction cosines, of films made of their letters
  if (!orientation) return null;
  const cos = COS[view.turn], sin = SIN[view.turn], sign = view.flip ? -1 : 1;
  const along = (ix, iy) => [0, 1, 2].map((i) => ix * sign * orientation[i] + iy * orientation[i + 3]);
  const name = (v) => v
    .map((q, i) => [Math.abs(q), ["LR", "PA", "HF"][i][q > 0 ? 0 : 1]])
    .filter(([size]) => size > 0.25).sort((p, q) => q[0] - p[0]).map(([, letter]) => letter).join("");
  const right = along(cos, -sin), down = along(sin, cos), less = (v) => v.map((q) => -q);
  return { right: name(right), left: name(less(right)), bottom: name(down), top: name(less(down)) };
}

// ---- real units ---------------------------------------------------------------------------------------------------

/** Size of a pixel: [column, row, unit]; without a spacing that can be true lengths are counted in pixels. */
function metric(image) {
  const { mm } = image;
  return mm && mm[0] > 0 && mm[1] > 0 ? [mm[1], mm[0], "mm"] : [1, 1, "px"];
}

function lengthOf(image, p, q) {
  const [column, row] = metric(image);
  return Math.hypot((q[0] - p[0]) * column, (q[1] - p[1]) * row);
}

/** Angle at `corner` in degrees, 0..180, in real proportions. */
function angleOf(image, p, corner, q) {
  const [column, row] = metric(image);
  const [ux, uy, vx, vy] = [p[0] - corner[0], p[1] - corner[1], q[0] - corner[0], q[1] - corner[1]]
    .map((v, i) => v * (i % 2 ? row : column));
  return (Math.atan2(Math.abs(ux * vy - uy * vx), ux * vx + uy * vy) * 180) / Math.PI;
}

/** Area of a polygon [[x, y], ...] in real units. */
function polygonArea(image, points) {
  const [column, row] = metric(image);
  const twice = points.reduce((sum, [x, y], i) => {
    const [u, v] = points[(i + 1) % points.length];
    return sum + x * v - u * y;
  }, 0);
  return (Math.abs(twice) / 2) * column * row;
}

/**
 * Statistics of the pixels whose centre lies in the ellipse (or rectangle) with corners p and q.
 * sd is that of the pixels themselves (divided by n). area is that of the drawn shape. Padding is left out.
 */
function regionStats(image, stored, p, q, round) {
  const [column, row] = metric(image);
  const cx = (p[0] + q[0]) / 2, cy = (p[1] + q[1]) / 2, rx = Math.abs(q[0] - p[0]) / 2, ry = Math.abs(q[1] - p[1]) / 2;
  const out = { n: 0, mean: NaN, sd: NaN, min: NaN, max: NaN, area: (round ? Math.PI : 4) * rx * ry * column * row };
  if (image.kind === "rgb" || !stored) return out;
  const visit = (act) => {
    for (let y = Math.max(0, Math.ceil(cy - ry - 0.5)); y < image.h && y + 0.5 <= cy + ry; y++) {
      for (let x = Math.max(0, Math.ceil(cx - rx - 0.5)); x < image.w && x + 0.5 <= cx + rx; x++) {
        const u = (x + 0.5 - cx) / rx, v = (y + 0.5 - cy) / ry, value = stored[y * image.w + x];
        if ((!round || u * u + v * v <= 1) && value !== image.padding) act(value * image.slope + image.intercept);
      }
    }
  };
  let [sum, squares, min, max] = [0, 0, Infinity, -Infinity];
  visit((v) => { out.n++; sum += v; min = Math.min(min, v); max = Math.max(max, v); });
  if (!out.n) return out;
  const mean = sum / out.n;
  visit((v) => { squares += (v - mean) ** 2; });
  return { ...out, mean, sd: Math.sqrt(squares / out.n), min, max };
}

/** The longest of 1, 2, 5, 10 ... millimetres that is no longer than `most` screen pixels; null without a spacing. */
function scaleBar(image, perColumn, most) {
  const [column, , unit] = metric(image);
  if (unit !== "mm" || !(perColumn > 0)) return null;
  const limit = (most / perColumn) * column, power = 10 ** Math.floor(Math.log10(limit));
  const mm = [5, 2, 1].map((n) => n * power).find((n) => n <= limit * (1 + 1e-9));
  return { mm, px: (mm / column) * perColumn };
}

/** Where slices are missing or doubled: usual distance, and for every slice what lies between it and the next. */
function stackSteps(places) {
  const steps = places.slice(1).map((p, i) => p - places[i]);
  const real = steps.filter((s) => s >= 0.01).sort((a, b) => a - b);
  if (places.some((p) => p === null) || !real.length) return { usual: null, gaps: [], doubles: [] };
  const half = real.length >> 1, usual = real.length % 2 ? real[half] : (real[half - 1] + real[half]) / 2;
  const which = (test) => steps.flatMap((s, i) => (test(s) ? [i] : []));
  return { usual, gaps: which((s) => s > 1.5 * usual), doubles: which((s) => s < 0.01) };
}
