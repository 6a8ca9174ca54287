// What models outlined and boxed: lines in the colours of charts, named where they run, and the tool that corrects them.
// A correction is told to the server once, when the pointer is lifted; the server's answer replaces what is drawn here.

const FILL = 0.15; // opacity of the filling until the reader sets another
const PULL = 60; // CSS px of line on either side of the pointer that follow it
const GRAB = 18; // CSS px from a line within which the pointer takes hold of it; twice as many for a finger

/** Whether a region is one of a model that is named in the legend. */
const listed = (region) => Boolean(region.colour);
const hiddenOn = (look, region) => (look.off ?? []).includes(region.structure);

function ringPath(rings, m) {
  const path = new Path2D();
  for (const ring of rings) {
    ring.map((p) => toScreen(m, p)).forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

/** Draw all regions of a pane; `m` maps to canvas pixels. Names come last, so that no line runs over them. */
function drawFindings(pane, c, m, dpr) {
  const { viewer, image } = pane, { look, data } = viewer, regions = pane.regions();
  drawRegions(c, regions.filter((region) => !listed(region)), image, m, data.ramps.for[1], dpr);
  const shown = regions.filter((region) => listed(region) && !hiddenOn(look, region));
  for (const region of shown) {
    const path = ringPath(region.rings, m);
    if (region.kind !== "box" && !region.fixed) {
      c.globalAlpha = look.fill ?? FILL;
      c.fillStyle = region.colour;
      c.fill(path, "evenodd");
      c.globalAlpha = 1;
    }
    for (const [width, style, dash] of [[3.5, "rgb(0 0 0 / 55%)", []], [1.5, region.colour, region.dash]]) {
      c.setLineDash(dash.map((length) => length * dpr));
      c.lineWidth = width * dpr;
      c.strokeStyle = style;
      c.stroke(path);
    }
    c.setLineDash([]);
  }
  const taken = [];
  for (const region of shown) if (region.words && region.rings.length) nameRegion(c, region, m, dpr, taken);
  viewer.correction?.draw(c, pane, m, dpr);
}

function nameRegion(c, region, m, dpr, taken) { // beside the point that lies farthest right, below names that are there already
  const points = region.rings[0].map((p) => toScreen(m, p));
  const [x, y] = points.reduce((far, p) => (p[0] > far[0] ? p : far)), high = 17 * dpr;
  c.font = `${12 * dpr}px ${c.family ?? "sans-serif"}`;
  const wide = c.measureText(region.words).width + 8 * dpr, left = Math.min(x + 6 * dpr, c.canvas.width - wide);
  const over = (top) => taken.some((box) => Math.abs(box.top - top) < high && left < box.left + box.wide && box.left < left + wide);
  let top = clamp(y - high / 2, 0, c.canvas.height - high);
  for (let tries = 0; over(top) && tries < 24; tries++) top += 4 * dpr;
  taken.push({ left, top, wide });
  caption(c, region.words, left, top, dpr, region.colour);
}

/** The structures beside the stage: what is shown, what was not found. A click shows or hides, or lets one draw what is missing. */
class Legend {
  constructor(viewer, parent) {
    this.viewer = viewer;
    if (!viewer.data.legend?.length) return;
    parent.append(el("hr"));
    this.entries = viewer.data.legend.map((entry) => {
      const title = entry.title.toLowerCase(), [words, hint] = {
        shown: [entry.title, "Show or hide"],
        missing: [`Draw ${title}`, "Not found. Draw it by hand"],
        more: [`Add ${title}`, "Draw round one that was missed"],
      }[entry.state];
      const b = button(parent, "", () => this.act(entry), hint), line = el("i", "line");
      line.style.borderTop = `2px ${entry.dash.length ? "dotted" : "solid"} ${entry.state === "shown" ? entry.colour : "#6F757A"}`;
      b.append(line, el("span", "", words));
      b.classList.add("legend");
      return [entry, b];
    });
  }

  act(entry) {
    const { viewer } = this, { look } = viewer;
    if (entry.state !== "shown") {
      viewer.choose("correct");
      look.drawing = entry;
    } else {
      const off = look.off ?? [];
      look.off = off.includes(entry.structure) ? off.filter((name) => name !== entry.structure) : [...off, entry.structure];
    }
    viewer.later();
  }

  update() {
    const { look } = this.viewer;
    for (const [entry, b] of this.entries ?? []) {
      const draws = entry.state !== "shown", asked = look.tool === "correct" && look.drawing;
      const on = draws ? asked?.structure === entry.structure && asked.state === entry.state : !(look.off ?? []).includes(entry.structure);
      b.classList.toggle("off", !on && !draws);
      b.setAttribute("aria-pressed", String(on));
    }
  }
}

/** Points of a closed line, about `step` apart; screen coordinates. */
function evenly(ring, step) {
  const ends = ring.map((p, i) => [p, ring[(i + 1) % ring.length]]);
  return ends.flatMap(([p, q]) => {
    const count = Math.max(1, Math.min(200, Math.round(Math.hypot(q[0] - p[0], q[1] - p[1]) / step)));
    return Array.from({ length: count }, (_, i) => [p[0] + ((q[0] - p[0]) * i) / count, p[1] + ((q[1] - p[1]) * i) / count]);
  });
}

/** Lengths along a closed line from its first point to each of the others, and of the whole. */
function along(ring) {
  const at = [0];
  for (let i = 1; i <= ring.length; i++) {
    const p = ring[i - 1], q = ring[i % ring.length];
    at.push(at[i - 1] + Math.hypot(q[0] - p[0], q[1] - p[1]));
  }
  return [at.slice(0, -1), at.at(-1)];
}

/** A line pulled at one of its points: its neighbours follow less and less. */
function pulled(ring, index, dx, dy) {
  const [at, whole] = along(ring), room = Math.min(whole / 3, Math.max(PULL, 1.2 * Math.hypot(dx, dy)));
  return ring.map(([x, y], i) => {
    const far = Math.abs(at[i] - at[index]), d = Math.min(far, whole - far);
    const share = d < room ? (1 + Math.cos((Math.PI * d) / room)) / 2 : 0;
    return [x + dx * share, y + dy * share];
  });
}

/** Pulls at outlines and corners of boxes, draws an outline where there is none. */
class Correction {
  constructor(viewer) { Object.assign(this, { viewer, held: null }); }

  grab(pane, e) {
    const rect = pane.frame.getBoundingClientRect(), at = [e.clientX - rect.left, e.clientY - rect.top];
    const reach = e.pointerType === "touch" ? 2 * GRAB : GRAB, { look } = this.viewer;
    let best = null;
    for (const region of pane.regions()) {
      if (!listed(region) || region.fixed || hiddenOn(look, region)) continue;
      region.rings.forEach((ring, number) => {
        const screen = ring.map((p) => toScreen(pane.matrix, p)), line = region.kind === "box" ? screen : evenly(screen, 3);
        line.forEach(([x, y], index) => {
          const far = Math.hypot(x - at[0], y - at[1]);
          if (far <= reach && (!best || far < best.far)) best = { far, region, number, index, line, at, pane };
        });
      });
    }
    if (!best && look.drawing) best = { fresh: true, line: [at], pane, at, entry: look.drawing };
    this.held = best;
    if (!best) setText(this.viewer.live, "No outline here. Take hold of a line and drag it.");
    return Boolean(best);
  }

  drag(pane, e) {
    const { held } = this;
    if (!held) return;
    const rect = pane.frame.getBoundingClientRect(), now = [e.clientX - rect.left, e.clientY - rect.top];
    held.moved = true;
    if (held.fresh) {
      const last = held.line.at(-1);
      if (Math.hypot(now[0] - last[0], now[1] - last[1]) >= 2) held.line.push(now);
      return;
    }
    const [dx, dy] = [now[0] - held.at[0], now[1] - held.at[1]], { region, number } = held;
    const image = (points) => points.map((p) => this.viewer.inside(pane, toImage(pane.matrix, p)));
    if (region.kind === "box") {
      const opposite = toImage(pane.matrix, held.line[(held.index + 2) % 4]);
      const [x, y] = image([[held.line[held.index][0] + dx, held.line[held.index][1] + dy]])[0], [u, v] = opposite;
      const [x0, x1, y0, y1] = [Math.min(x, u), Math.max(x, u), Math.min(y, v), Math.max(y, v)];
      region.rings = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]];
    } else {
      region.rings = region.rings.with(number, image(pulled(held.line, held.index, dx, dy)));
    }
    region.points = region.rings[0];
  }

  release(pane) {
    const { held, viewer } = this;
    this.held = null;
    if (!held?.moved) return;
    if (held.fresh) {
      if (held.line.length < 6) return;
      const ring = held.line.map((p) => viewer.inside(pane, toImage(pane.matrix, p)));
      const { structure, model } = held.entry;
      viewer.look.drawing = null;
      this.tell(pane.at, model, structure, [...this.same(pane.at, model, structure), { kind: "outline", rings: [ring] }]);
      return;
    }
    const { structure, model, image } = held.region;
    this.tell(image, model, structure, this.same(image, model, structure));
  }

  same(image, model, structure) { // what is shown of a structure already
    return this.viewer.data.regions.filter((region) => region.image === image && region.structure === structure && region.model === model);
  }

  tell(image, model, structure, regions) {
    const short = regions.map(({ kind, rings }) => ({ kind, rings: rings.map((ring) => ring.map(([x, y]) => [+x.toFixed(2), +y.toFixed(2)])) }));
    this.viewer.setTriggerValue("corrected", { image, model, structure, regions: short });
  }

  draw(c, pane, m, dpr) { // the outline that is being drawn
    const { held } = this;
    if (!held?.fresh || held.pane !== pane || held.line.length < 2) return;
    c.beginPath();
    held.line.forEach(([x, y], i) => (i ? c.lineTo(x * dpr, y * dpr) : c.moveTo(x * dpr, y * dpr)));
    c.lineWidth = 1.5 * dpr;
    c.strokeStyle = held.entry.colour;
    c.stroke();
  }
}
