// Measurements: what is drawn on an image, how it is placed by pointer and keys, what it says.

const TOOLS = {
  window: { title: "Window", key: "w" },
  move: { title: "Move", key: "m" },
  scroll: { title: "Scroll", key: "s" },
  length: { title: "Length", key: "l", points: 2 },
  angle: { title: "Angle", key: "a", points: 3 },
  ellipse: { title: "Ellipse", key: "e", points: 2 },
  rectangle: { title: "Rectangle", key: "q", points: 2 },
  box: { title: "Box", key: "b", points: 2 },
  correct: { title: "Correct", key: "c" },
};
const REACH = 8; // CSS px around a handle; twice as many for a finger

/** A number with three significant digits, or all digits before the point. */
const short = (v) => (!Number.isFinite(v) ? "–" : (Math.abs(v) >= 100 ? v.toFixed(0) : String(+v.toPrecision(3))).replace("-", "−"));

/** What a measurement says, one or more lines; figures carry their unit and, where it matters, its source. */
function measured(image, stored, mark) {
  const [p, q, r] = mark.points, [, , unit] = metric(image);
  const from = unit === "mm" && image.source !== "calibrated" && image.source ? ` ${image.source}` : "";
  if (mark.kind === "length") return `${short(lengthOf(image, p, q))} ${unit}${from}`;
  if (mark.kind === "angle") return r ? `${angleOf(image, p, q, r).toFixed(1)}°` : "";
  const sides = [lengthOf(image, p, [q[0], p[1]]), lengthOf(image, p, [p[0], q[1]])].map(short).join(" × ");
  if (mark.kind === "box") return `box ${sides} ${unit}${from}`;
  const s = regionStats(image, stored, p, q, mark.kind === "ellipse"), own = image.unit ? ` ${image.unit}` : "";
  const size = `${short(s.area)} ${unit}²${from}`;
  if (!s.n) return size;
  return `mean ${short(s.mean)}${own}, SD ${short(s.sd)}\nmin ${short(s.min)}, max ${short(s.max)}\n${size}, ${s.n} px`;
}

const sentences = new WeakMap(); // mark -> where it lay and what was said then: counting pixels is slow on large films

function known(image, stored, mark) {
  const where = `${mark.points} ${Boolean(stored)}`;
  if (sentences.get(mark)?.[0] !== where) sentences.set(mark, [where, measured(image, stored, mark)]);
  return sentences.get(mark)[1];
}

/** The handle of a mark under a screen point: [mark, index]; null where there is none. */
function handleAt(marks, m, [x, y], reach) {
  for (const mark of [...marks].reverse()) {
    const index = mark.points.findIndex((p) => {
      const [u, v] = toScreen(m, p);
      return Math.hypot(u - x, v - y) <= reach;
    });
    if (index >= 0) return [mark, index];
  }
  return null;
}

/** The outline of a mark as a path on the screen. */
function markPath(mark, m) {
  const path = new Path2D(), [p, q] = mark.points, line = (points, close) => {
    points.map((at) => toScreen(m, at)).forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    if (close) path.closePath();
  };
  if (mark.kind === "ellipse") {
    const [cx, cy, rx, ry] = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2, (q[0] - p[0]) / 2, (q[1] - p[1]) / 2];
    line(Array.from({ length: 72 }, (_, i) => [cx + rx * Math.cos((i * Math.PI) / 36), cy + ry * Math.sin((i * Math.PI) / 36)]), true);
  } else if (mark.kind === "rectangle" || mark.kind === "box") {
    line([p, [q[0], p[1]], q, [p[0], q[1]]], true);
  } else {
    line(mark.points, false);
  }
  return path;
}

/** Draw marks; the chosen one in the accent colour with its handles. `m` maps to canvas pixels. */
function drawMarks(c, marks, image, stored, m, dpr, chosen, accent) {
  for (const mark of marks) {
    const path = markPath(mark, m), colour = mark === chosen ? accent : "#D3D7DA";
    c.setLineDash(mark.kind === "box" ? [6 * dpr, 4 * dpr] : []);
    for (const [width, style] of [[3.5, "rgb(0 0 0 / 65%)"], [1.5, colour]]) {
      c.lineWidth = width * dpr;
      c.strokeStyle = style;
      c.stroke(path);
    }
    c.setLineDash([]);
    for (const p of mark.points) {
      const [x, y] = toScreen(m, p), r = (mark === chosen ? 4 : 2.5) * dpr;
      c.fillStyle = colour;
      c.fillRect(x - r, y - r, 2 * r, 2 * r);
    }
    const ends = mark.points.map((p) => toScreen(m, p)), right = Math.max(...ends.map(([x]) => x));
    const low = Math.max(...ends.map(([, y]) => y)), said = known(image, stored, mark);
    if (said) caption(c, said, right + 8 * dpr, low + 4 * dpr, dpr, colour);
  }
}

/** The cross that keys move while a measuring tool is chosen. */
function drawCross(c, [x, y], dpr, accent) {
  c.strokeStyle = accent;
  c.lineWidth = 1.5 * dpr;
  c.beginPath();
  for (const [u, v] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    c.moveTo(x + 3 * u * dpr, y + 3 * v * dpr);
    c.lineTo(x + 11 * u * dpr, y + 11 * v * dpr);
  }
  c.stroke();
}

/** Marks as they go to the server: plain figures. */
const plainMark = ({ kind, image, points }) => ({ kind, image, points: points.map(([x, y]) => [+x.toFixed(3), +y.toFixed(3)]) });
