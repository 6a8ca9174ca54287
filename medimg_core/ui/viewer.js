// The viewer: films with window, zoom and maps on a black stage. Canvas 2D, no library; viewer_math.js comes before it.
// Pixels and maps are fetched from the app's own route. Window, zoom, opacity, threshold and method never ask the server.

const HELP = "Drag: window. Wheel: zoom. Shift and drag: move. Double click: whole image.";
const KEEP_BYTES = 96e6;
const fetched = new Map(); // url -> Promise<ArrayBuffer>; tokens are unguessable and stand for one content only
const sizes = new Map(); // url -> bytes, oldest first
const looks = new Map(); // viewer id -> what the reader has set, so that a rerun or another page loses nothing

const el = (tag, cls = "", text = "") => Object.assign(document.createElement(tag), { className: cls, textContent: text });
const figure = (v) => (v < 0 ? "−" : "") + Math.abs(v).toFixed(2);

function load(url) {
  if (!fetched.has(url)) {
    const got = fetch(url, { cache: "no-store", credentials: "same-origin" }).then((r) => {
      if (!r.ok) throw new Error(String(r.status));
      return r.arrayBuffer();
    });
    got.then((buffer) => { sizes.set(url, buffer.byteLength); forget(); }, () => fetched.delete(url));
    fetched.set(url, got);
  }
  return fetched.get(url);
}

function forget() { // the oldest go once the limit is passed; what is on the stage holds its own reference
  let total = 0;
  for (const bytes of sizes.values()) total += bytes;
  for (const [url, bytes] of sizes) {
    if (total <= KEEP_BYTES || sizes.size === 1) return;
    total -= bytes;
    sizes.delete(url);
    fetched.delete(url);
  }
}

class Viewer {
  constructor({ parentElement, data: [data], setStateValue, setTriggerValue }) {
    Object.assign(this, { data, setStateValue, setTriggerValue });
    this.view = parentElement.querySelector(".view");
    this.ramps = { for: data.ramps.for.map(rgb), against: data.ramps.against.map(rgb) };
    const fresh = {
      window: null, preset: 0, invert: false, map: data.shown, opacity: data.opacity, threshold: data.threshold,
      pick: data.picker?.value ?? null, slots: data.slots ?? [], slice: data.start, zoom: 1, x: 0.5, y: 0.5,
    };
    if (!data.images.length) [fetched, sizes, looks].forEach((kept) => kept.clear()); // the case was closed
    if (!looks.has(data.id)) looks.set(data.id, fresh);
    this.look = looks.get(data.id);
    if (data.picker?.server) this.look.pick = data.picker.value;
    this.films = data.images.map((image) => ({ image, canvas: null, stored: null, painted: "" }));
    this.maps = new Map(Object.entries(data.maps).map(([id, map]) => [id, { ...map, raised: null, painted: "" }]));
    this.view.replaceChildren();
    this.view.dataset.ready = "0";
    if (data.toolbar) this.toolbar();
    this.stage();
    this.watch = new ResizeObserver(() => this.later());
    this.watch.observe(this.view);
    this.fetchAll();
  }

  close() {
    this.closed = true;
    this.watch.disconnect();
  }

  // ---- data -----------------------------------------------------------------------------------------------------
  async film(index) {
    const film = this.films[index];
    if (film.stored) return;
    const { image } = film;
    const buffer = await load(image.url);
    film.lut = image.lut ? new Uint8Array(await load(image.lut)) : null;
    film.stored = image.kind === "u16" ? new Uint16Array(buffer) : new Uint8Array(buffer);
    film.canvas = Object.assign(el("canvas"), { width: image.w, height: image.h });
  }

  async map(id) {
    const map = this.maps.get(id);
    if (!map || map.raised) return;
    const buffer = await load(map.url);
    [map.h, map.w] = new Int32Array(buffer, 0, 2);
    map.values = new Float32Array(buffer, 8).map((v) => v / map.scale);
    const image = this.data.images[0], side = this.data.columns > 1 ? 448 : 640; // fine enough for a smooth outline
    const shrink = Math.min(1, side / Math.max(image.w, image.h));
    map.rw = Math.max(map.w, Math.round(image.w * shrink));
    map.rh = Math.max(map.h, Math.round(image.h * shrink));
    map.raised = raise(map, map.rw, map.rh);
    map.max ??= map.raised.reduce((a, b) => Math.max(a, b), 0);
    map.canvas = Object.assign(el("canvas"), { width: map.rw, height: map.rh });
  }

  async fetchAll() {
    try {
      await Promise.all(this.panes.map((p) => (this.imageOf(p) === null ? null : this.film(this.imageOf(p)))));
      if (this.closed) return;
      this.later();
      await Promise.all(this.panes.map((p) => this.map(this.mapOf(p))));
    } catch {
      if (this.closed) return;
      this.lost = true;
    }
    this.complete = true;
    this.later();
  }

  fetchLate(id) { // a method that was not shown before
    const map = this.maps.get(id);
    map.asked ??= this.map(id).then(() => this.later(), () => { this.lost = true; this.later(); });
  }

  imageOf(pane) {
    return this.data.series ? this.look.slice : pane.image;
  }

  mapOf(pane) {
    return pane.slot === null ? (pane.map ?? this.look.pick) : this.look.slots[pane.slot];
  }

  windowOf(image) {
    return this.look.window ?? image.window;
  }

  // ---- toolbar --------------------------------------------------------------------------------------------------
  toolbar() {
    this.bar = el("div", "bar");
    const presets = this.group("Window", HELP);
    this.data.presets.forEach((preset, i) => {
      const b = this.button(presets, preset.title, () => {
        this.look.window = preset.own ? null : { centre: preset.centre, width: preset.width, kind: preset.kind };
        this.look.preset = i;
      });
      b.dataset.preset = i;
    });
    this.inverted = this.button(presets, "Inverted", () => { this.look.invert = !this.look.invert; });
    if (this.maps.size) {
      this.mapButton = this.button(this.group(""), "Map", () => { this.look.map = !this.look.map; });
      this.slider(this.group("Opacity"), "opacity", "Opacity of the map");
      this.slider(this.group("Above"), "threshold", "Show the map from this value on");
    }
    if (this.data.picker) this.picker(this.data.picker);
    if (this.data.series) this.slices();
    this.view.append(this.bar);
  }

  group(label, title = "") {
    const g = el("div", "group");
    if (label) g.append(Object.assign(el("span", "label", label), { title }));
    this.bar.append(g);
    return g;
  }

  button(group, text, act) {
    const b = Object.assign(el("button", "", text), { type: "button" });
    b.onclick = () => { act(); this.later(); };
    group.append(b);
    return b;
  }

  slider(group, key, name) {
    const input = Object.assign(el("input"), { type: "range", min: 0, max: 1, step: 0.01, value: this.look[key] });
    const shown = el("output", "", this.look[key].toFixed(2));
    input.setAttribute("aria-label", name);
    input.oninput = () => { this.look[key] = +input.value; shown.textContent = this.look[key].toFixed(2); this.later(); };
    group.append(input, shown);
  }

  select(options, value, label, act) {
    const s = el("select");
    s.setAttribute("aria-label", label);
    options.forEach(([id, text]) => s.append(Object.assign(el("option", "", text), { value: id })));
    s.value = value;
    s.onchange = () => act(s.value);
    return s;
  }

  picker(picker) {
    this.group(picker.visible ? picker.label : "").append(this.select(picker.options, this.look.pick, picker.label, (id) => {
      this.look.pick = id;
      if (picker.server) this.setStateValue("pick", id);
      this.later();
    }));
  }

  slices() {
    const g = this.group("Image"), count = this.films.length;
    const input = Object.assign(el("input"), { type: "range", min: 1, max: count, step: 1, value: this.look.slice + 1 });
    input.setAttribute("aria-label", "Image of the series");
    this.sliceOut = el("output", "wide");
    this.sliceInput = input;
    input.oninput = () => this.turn(+input.value - 1);
    g.append(input, this.sliceOut);
  }

  /** What the reader sees, for an export that shows the same. */
  query() {
    const w = this.windowOf(this.data.images[this.imageOf(this.panes[0])]);
    const { opacity, threshold } = this.look;
    return new URLSearchParams({ centre: w.centre, width: w.width, kind: w.kind, opacity, threshold });
  }

  // ---- stage ----------------------------------------------------------------------------------------------------
  stage() {
    const { data } = this, thumbs = data.panes.some((p) => p.opens);
    const body = el("div", thumbs ? "body thumbs" : "body"), grid = el("div", "panes");
    grid.style.setProperty("--columns", data.columns);
    this.panes = data.panes.map((p) => this.pane(p, grid));
    body.append(grid);
    if (data.bar) {
      this.scale = el("canvas", "scale");
      this.scale.setAttribute("role", "img");
      this.scale.setAttribute("aria-label", data.bar.label);
      body.append(this.scale);
    }
    this.view.append(body);
  }

  pane(spec, grid) {
    const box = el("figure", spec.opens ? "pane open" : "pane"), frame = el("div", "frame"), canvas = el("canvas", "draw");
    const pane = { ...spec, frame, canvas, corners: [0, 1, 2, 3].map((i) => el("span", "corner c" + i)), note: el("span", "note") };
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", spec.alt);
    if (spec.image === null) frame.classList.add("none");
    frame.append(canvas, ...pane.corners, pane.note);
    pane.said = spec.note;
    box.append(frame);
    if (spec.title || spec.slot !== null) box.append(this.caption(pane, spec));
    if (spec.opens) {
      box.tabIndex = 0;
      box.setAttribute("role", "button");
      box.onclick = () => this.setTriggerValue("open", spec.opens);
      box.onkeydown = (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); box.onclick(); } };
    } else if (spec.image !== null) {
      this.gestures(frame);
    }
    grid.append(box);
    return pane;
  }

  caption(pane, spec) {
    const cap = el("figcaption");
    pane.verdict = el("span", "verdict");
    pane.head = el("b", "mark", spec.title ?? "");
    pane.head.title = spec.title ?? "";
    if (spec.slot === null) {
      cap.append(pane.head, pane.verdict);
      return cap;
    }
    const options = Object.entries(this.data.methods).map(([id, m]) => [id, m.title]);
    const line = el("div", "line");
    line.append(pane.head, this.select(options, this.look.slots[spec.slot], "Method", (id) => {
      this.look.slots = this.look.slots.with(spec.slot, id);
      if (!this.maps.has(id)) this.setStateValue("slots", this.look.slots);
      this.later();
    }), this.exportLink(pane));
    cap.append(line, pane.verdict);
    return cap;
  }

  exportLink(pane) {
    pane.link = el("a", "link", "PNG");
    pane.link.setAttribute("aria-label", "Save this map as PNG");
    pane.link.onclick = () => { pane.link.href = this.data.methods[this.mapOf(pane)].link + "?" + this.query(); };
    return pane.link;
  }

  turn(slice) {
    this.look.slice = clamp(slice, 0, this.films.length - 1);
    if (this.sliceInput) this.sliceInput.value = this.look.slice + 1;
    const near = [0, 1, -1, 2].map((d) => this.look.slice + d).filter((i) => i >= 0 && i < this.films.length);
    this.films.forEach((f, i) => { if (Math.abs(i - this.look.slice) > 12) Object.assign(f, { canvas: null, stored: null, painted: "" }); });
    near.forEach((i) => this.film(i).then(() => this.later(), () => { this.lost = true; this.later(); }));
    this.later();
  }

  gestures(frame) {
    frame.tabIndex = 0;
    let held = null;
    frame.oncontextmenu = (e) => e.preventDefault();
    frame.onpointerdown = (e) => {
      held = { x: e.clientX, y: e.clientY, move: e.shiftKey || e.button > 0 };
      frame.setPointerCapture(e.pointerId);
    };
    frame.onpointerup = () => { held = null; };
    frame.onpointerleave = () => { this.probe = null; this.later(); };
    frame.onpointermove = (e) => {
      if (!held) { this.point(frame, e); return; }
      const dx = e.clientX - held.x, dy = e.clientY - held.y;
      Object.assign(held, { x: e.clientX, y: e.clientY });
      if (held.move) this.shift(frame, dx, dy); else this.level(dx, dy);
    };
    frame.ondblclick = () => { Object.assign(this.look, { zoom: 1, x: 0.5, y: 0.5 }); this.later(); };
    frame.addEventListener("wheel", (e) => {
      e.preventDefault();
      if (this.data.series && !e.ctrlKey) this.turn(this.look.slice + Math.sign(e.deltaY));
      else this.zoom(frame, Math.exp(-e.deltaY / 400), e);
    }, { passive: false });
    frame.onkeydown = (e) => this.key(frame, e);
  }

  key(frame, e) {
    const step = 0.05 * Math.min(frame.clientWidth, frame.clientHeight);
    const acts = {
      "+": () => this.zoom(frame, 1.25), "-": () => this.zoom(frame, 0.8), "0": () => frame.ondblclick(),
      ArrowLeft: () => this.shift(frame, step, 0), ArrowRight: () => this.shift(frame, -step, 0),
      ArrowUp: () => this.shift(frame, 0, step), ArrowDown: () => this.shift(frame, 0, -step),
      PageUp: () => this.turn(this.look.slice - 1), PageDown: () => this.turn(this.look.slice + 1),
    };
    if (acts[e.key]) { e.preventDefault(); acts[e.key](); }
  }

  level(dx, dy) { // right: wider; down: brighter. One window width is about 500 px of movement.
    const image = this.data.images[this.imageOf(this.panes[0])], w = this.windowOf(image), step = Math.max(w.width, image.slope) / 500;
    this.look.window = { centre: w.centre - dy * step, width: Math.max(image.slope, w.width + dx * step), kind: w.kind };
    this.look.preset = -1;
    this.later();
  }

  shift(frame, dx, dy) {
    const box = this.place(frame, this.data.images[this.imageOf(this.panes[0])], 1);
    this.look.x = clamp(this.look.x - dx / box.w, 0, 1);
    this.look.y = clamp(this.look.y - dy / box.h, 0, 1);
    this.later();
  }

  zoom(frame, factor, e) {
    const image = this.data.images[this.imageOf(this.panes[0])];
    const old = this.place(frame, image, 1), rect = frame.getBoundingClientRect();
    const px = e ? e.clientX - rect.left : rect.width / 2, py = e ? e.clientY - rect.top : rect.height / 2;
    const u = (px - old.x) / old.w, v = (py - old.y) / old.h;
    this.look.zoom = clamp(this.look.zoom * factor, 1, 16);
    if (this.look.zoom === 1) Object.assign(this.look, { x: 0.5, y: 0.5 });
    else {
      const box = this.place(frame, image, 1);
      this.look.x = clamp(u + (rect.width / 2 - px) / box.w, 0, 1);
      this.look.y = clamp(v + (rect.height / 2 - py) / box.h, 0, 1);
    }
    this.later();
  }

  point(frame, e) { // the value under the pointer
    const pane = this.panes.find((p) => p.frame === frame), index = this.imageOf(pane), film = this.films[index];
    if (!film?.stored) return;
    const { image } = film, rect = frame.getBoundingClientRect(), box = this.place(frame, image, 1);
    const u = (e.clientX - rect.left - box.x) / box.w, v = (e.clientY - rect.top - box.y) / box.h;
    const x = Math.floor(u * image.w), y = Math.floor(v * image.h), inside = x >= 0 && y >= 0 && x < image.w && y < image.h;
    this.probe = null;
    if (inside && image.kind !== "rgb") {
      const value = film.stored[y * image.w + x] * image.slope + image.intercept;
      const map = this.look.map && this.maps.get(this.mapOf(pane));
      const evidence = map?.raised ? map.raised[Math.floor(v * map.rh) * map.rw + Math.floor(u * map.rw)] : null;
      const text = `row ${y}, column ${x}: ${+value.toFixed(2)}${image.unit ? " " + image.unit : ""}`;
      this.probe = { pane, text: evidence === null ? text : `${text}\nevidence ${figure(evidence)}` };
    }
    this.later();
  }

  /** Where the image lies in a frame, in CSS pixels times `dpr`. */
  place(frame, image, dpr) {
    const w = frame.clientWidth * dpr, h = frame.clientHeight * dpr, tall = image.h * image.aspect;
    const k = Math.min(w / image.w, h / tall) * this.look.zoom, bw = image.w * k, bh = tall * k;
    return { x: w / 2 - this.look.x * bw, y: h / 2 - this.look.y * bh, w: bw, h: bh };
  }

  // ---- drawing --------------------------------------------------------------------------------------------------
  later() {
    if (this.asked || this.closed) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; if (!this.closed) this.draw(); });
  }

  refreshFilm(film) {
    const { look } = this, w = this.windowOf(film.image), lut = look.window ? null : film.lut;
    const now = [w.centre, w.width, w.kind, look.invert, Boolean(lut)].join();
    if (film.painted === now) return;
    paintFilm(film.canvas, film.image, film.stored, greyTable(film.image, w, look.invert, lut));
    film.painted = now;
  }

  refreshMap(map) {
    const { look } = this, now = [look.opacity, look.threshold].join();
    if (map.painted === now) return;
    paintMap(map.canvas, map.raised, look, this.ramps);
    const t = look.threshold;
    map.lines = t > 0 ? [1, -1].map((sign) => outline(map.raised, map.rw, map.rh, t, sign)) : [];
    map.painted = now;
  }

  draw() {
    const dpr = devicePixelRatio || 1;
    for (const pane of this.panes) this.drawPane(pane, dpr);
    if (this.scale) this.drawScale(dpr);
    this.pressed();
    if (this.complete) this.view.dataset.ready = this.lost ? "lost" : "1";
  }

  drawPane(pane, dpr) {
    const { frame, canvas } = pane, index = this.imageOf(pane), film = index === null ? null : this.films[index];
    const c = canvas.getContext("2d");
    canvas.width = Math.round(frame.clientWidth * dpr); // also wipes it: nothing of another image can stay
    canvas.height = Math.round(frame.clientHeight * dpr);
    const map = this.maps.get(this.mapOf(pane));
    if (map && !map.raised && this.complete) this.fetchLate(this.mapOf(pane));
    this.words(pane, film, map);
    if (!film?.stored || !canvas.width || !canvas.height) return;
    this.refreshFilm(film);
    const box = this.place(frame, film.image, dpr);
    this.drawFilm(c, film, box);
    if (map?.raised && this.look.map) this.drawMap(c, map, box, dpr);
  }

  drawFilm(c, film, box) {
    const w = Math.round(box.w), h = Math.round(box.h);
    if (w >= film.image.w || this.look.zoom > 1) {
      c.imageSmoothingQuality = "high";
      c.drawImage(film.canvas, box.x, box.y, box.w, box.h);
      return;
    }
    const now = `${w} ${h} ${film.painted}`; // shrinking a large film well is slow: once for all panes and redraws
    if (film.shrunk !== now) {
      film.small = Object.assign(el("canvas"), { width: w, height: h });
      const pen = film.small.getContext("2d");
      pen.imageSmoothingQuality = "high";
      pen.drawImage(film.canvas, 0, 0, w, h);
      film.shrunk = now;
    }
    c.drawImage(film.small, Math.round(box.x), Math.round(box.y));
  }

  drawMap(c, map, box, dpr) {
    this.refreshMap(map);
    c.drawImage(map.canvas, box.x, box.y, box.w, box.h);
    map.lines.forEach((path, i) => {
      const placed = new Path2D();
      placed.addPath(path, new DOMMatrix([box.w, 0, 0, box.h, box.x, box.y]));
      c.lineWidth = 1.25 * dpr;
      c.strokeStyle = (i ? this.data.ramps.against : this.data.ramps.for)[1];
      c.stroke(placed);
    });
  }

  words(pane, film, map) {
    const { look, data } = this, set = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };
    if (film && data.corners) {
      const { image } = film, w = this.windowOf(image), round = (v) => String(+v.toPrecision(4)).replace("-", "−");
      const lut = film.lut && !look.window;
      const many = data.series ? `image ${look.slice + 1} of ${this.films.length}\n` : "";
      const level = image.kind === "rgb" && !look.window ? "" : lut ? "VOI look-up table" : `window ${round(w.centre)} / ${round(w.width)}`;
      const zoom = look.zoom > 1 ? `\nzoom ${look.zoom.toFixed(1)}` : "";
      set(pane.corners[0], image.corner);
      set(pane.corners[1], level + zoom);
      set(pane.corners[2], many + image.spacing);
      set(pane.corners[3], this.probe?.pane === pane ? this.probe.text : "");
    }
    const id = this.mapOf(pane), method = data.methods?.[id];
    if (pane.slot !== null && method) {
      set(pane.verdict, method.verdict);
      pane.head.className = "mark " + method.mark;
      Object.assign(pane.link, { href: method.link, download: method.file, hidden: !map });
    } else if (pane.verdict) {
      set(pane.verdict, "");
    }
    const note = this.note(pane, film, map, method);
    set(pane.note, note);
    pane.note.hidden = !note;
    pane.note.classList.toggle("calm", pane.calm || (pane.slot !== null && !map)); // waiting is nothing to warn of
    pane.note.classList.toggle("alone", !film);
  }

  note(pane, film, map, method) {
    const { look, data } = this;
    if (this.lost) return data.words.lost;
    if (!film) return pane.said;
    if (pane.slot !== null && !map) return method?.waiting ?? "";
    if (!map) return pane.said;
    if (!look.map) return data.words.off;
    if (map.raised && map.max < look.threshold) {
      const said = map.raw && map.max > 0 ? data.words.raw : data.words.empty;
      return said.replace("{maximum}", figure(map.max));
    }
    return pane.said;
  }

  pressed() {
    const { look } = this, set = (b, on) => b?.setAttribute("aria-pressed", String(on));
    this.bar?.querySelectorAll("[data-preset]").forEach((b) => set(b, +b.dataset.preset === look.preset));
    set(this.inverted, look.invert);
    set(this.mapButton, look.map);
    if (this.sliceOut) this.sliceOut.textContent = `${look.slice + 1} of ${this.films.length}`;
  }

  drawScale(dpr) {
    const { scale, data, look } = this, c = scale.getContext("2d"), w = scale.clientWidth, h = scale.clientHeight;
    const x = 8, bar = 12, top = 34, bottom = h - 34, lowest = data.bar.signed ? -1 : 0;
    const toY = (v) => bottom - ((v - lowest) / (1 - lowest)) * (bottom - top);
    scale.width = w * dpr;
    scale.height = h * dpr;
    c.scale(dpr, dpr);
    for (let y = top; y < bottom; y++) { // over mid grey, as the eye meets it on a film
      const v = lowest + ((bottom - y) / (bottom - top)) * (1 - lowest), size = Math.abs(v), a = look.map ? veil(size, look) : 0;
      const colour = rampColour(v < 0 ? this.ramps.against : this.ramps.for, size).map((q) => Math.round(q * a + 70 * (1 - a)));
      c.fillStyle = `rgb(${colour})`;
      c.fillRect(x, y, bar, 1);
    }
    c.font = "12px " + getComputedStyle(this.view).fontFamily;
    c.textBaseline = "middle";
    c.fillStyle = "#9EA4A9";
    for (let v = lowest; v <= 1.001; v += 0.5) {
      c.fillRect(x + bar, Math.round(toY(v)), 4, 1);
      c.fillText((v < 0 ? "−" : "") + Math.abs(v).toFixed(1), x + bar + 7, toY(v));
    }
    c.fillText(data.bar.high, x, 14);
    c.fillText(data.bar.low, x, h - 14);
    const own = data.columns === 1 ? this.maps.get(this.mapOf(this.panes[0])) : null;
    if (own?.raised) {
      const y = toY(Math.min(1, own.max)), beside = [0, 0.5, 1].find((v) => Math.abs(toY(v) - y) < 12);
      c.fillStyle = "#D3D7DA";
      c.fillRect(x - 6, Math.round(y), bar + 10, 2);
      c.fillText("max " + figure(own.max), x + bar + 7, beside === undefined ? y : toY(beside) + (beside === 0 ? -14 : 14));
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
}

export default function (component) {
  const viewer = new Viewer(component);
  return () => viewer.close();
}
