// The viewer: images of a study with window, zoom, measurements and maps on a black stage. Canvas 2D, no library.
// Pixels and maps are fetched from the app's own route. What a reader sets stays in the browser; only a finished
// measurement, another class or a method that is not there yet is told to the server.

const looks = new Map(); // viewer id -> what the reader has set, so that a rerun or another page loses nothing
const mounted = new WeakMap(); // view -> its viewer
const MANY = { "1x1": 1, "1x2": 2, "2x2": 4 };
const PAINTED = 8; // pictures kept in grey levels; shared by all panes that show the same

class Viewer {
  constructor({ parentElement, data: [data], setStateValue, setTriggerValue }) {
    Object.assign(this, { data, setStateValue, setTriggerValue, lost: false, draft: null, cine: null, pictures: new Map(), known: new Map() });
    this.view = parentElement.querySelector(".view");
    const focused = this.view.getRootNode().activeElement?.closest?.(".frame, button, select, input");
    const place = focused ? [...this.view.querySelectorAll(".frame, button, select, input")].indexOf(focused) : -1;
    const again = mounted.has(this.view);
    mounted.get(this.view)?.close();
    mounted.set(this.view, this);
    this.ramps = { for: data.ramps.for.map(rgb), against: data.ramps.against.map(rgb) };
    store.session = data.session;
    if (store.open(data.case)) looks.clear();
    if (!looks.has(data.id)) looks.set(data.id, this.fresh());
    this.look = looks.get(data.id);
    if (data.picker?.server) this.look.pick = data.picker.value;
    if (this.look.wished !== data.shown) this.look.map = this.look.wished = data.shown; // of another slice, whose map is trusted more or less
    this.layouts = data.layouts;
    this.correction = new Correction(this);
    this.maps = new Map(Object.entries(data.maps).map(([id, map]) => [id, { ...map, raised: null }]));
    this.build();
    this.slices = new Slices(this, again);
    this.watch = new ResizeObserver(() => this.later());
    this.watch.observe(this.view);
    this.hidden = () => { if (document.hidden) this.cine = null; };
    document.addEventListener("visibilitychange", this.hidden);
    if (place >= 0) this.view.querySelectorAll(".frame, button, select, input")[place]?.focus();
    this.refetch();
    if (this.look.marks.length) this.tell(); // Python forgets the state of a page that was left
  }

  close() {
    this.closed = true;
    this.cine = null;
    this.slices.close();
    this.watch.disconnect();
    document.removeEventListener("visibilitychange", this.hidden);
  }

  fresh() {
    const { data } = this;
    const panes = [];
    const first = (series) => data.series[series]?.first; // stacks of the same images begin apart on purpose: two phases
    for (const { series } of data.panes) panes.push(this.begin(series, panes[0], first(series) !== first(panes[0]?.series)));
    return {
      panes, active: 0, linked: true, layout: data.layout, tool: "window", marks: [], chosen: null, invert: false, regions: true,
      map: data.shown, wished: data.shown, wanted: data.wanted, rested: null, opacity: data.opacity, threshold: data.threshold, pick: data.picker?.value ?? null, slots: data.slots ?? [],
    };
  }

  // ---- the stage --------------------------------------------------------------------------------------------------
  build() {
    const { data, look } = this, thumbs = data.panes.some((p) => p.opens);
    this.chooses = data.series.length > 1 && this.layouts.length > 1;
    const count = this.layouts.length > 1 ? MANY[look.layout] : data.panes.length;
    for (let i = look.panes.length; i < count; i++) look.panes.push(this.another(i));
    const specs = Array.from({ length: count }, (_, i) => data.panes[i] ?? { ...data.panes[0], title: "", note: "", bare: true });
    const body = el("div", thumbs ? "body thumbs" : "body"), grid = el("div", "panes");
    this.panes = specs.map((spec, i) => new Pane(this, spec, i));
    grid.append(...this.panes.map((pane) => pane.box));
    this.grid = grid;
    this.columns = 0;
    look.active = Math.min(look.active, count - 1);
    this.live = el("div", "live");
    this.live.setAttribute("aria-live", "polite");
    this.bar = data.toolbar ? new Bar(this) : null;
    this.strip = data.toolbar && data.tools.length ? new Strip(this) : null;
    this.sheet = data.toolbar ? helpSheet(data.tools) : null;
    body.append(...[this.strip?.node, grid].filter(Boolean));
    if (data.bar) {
      this.scale = el("canvas", "scale");
      this.scaled = "";
      this.scale.setAttribute("role", "img");
      this.scale.setAttribute("aria-label", data.bar.label);
      body.append(this.scale);
    }
    this.view.replaceChildren(...[this.bar?.node, body, this.live, this.sheet].filter(Boolean));
    this.view.dataset.ready = "0";
    this.family = getComputedStyle(this.view).fontFamily;
    this.accent = "#7DB3DC";
  }

  /** Two pictures stand beside each other, or below where that shows them larger; four and more as they were asked for. */
  spread() {
    const { grid, panes, data } = this, many = this.layouts.length > 1;
    let columns = many ? Math.ceil(Math.sqrt(panes.length)) : data.columns;
    if (many && panes.length === 2 && panes.every((pane) => pane.image)) {
      const size = (across) => Math.min(...panes.map(({ image, view }) =>
        fitScale(image, view.turn, grid.clientWidth / across, (grid.clientHeight * across) / 2)));
      columns = size(1) > 1.05 * size(2) ? 1 : 2;
    }
    if (columns === this.columns) return;
    this.columns = columns;
    grid.style.setProperty("--columns", columns);
  }

  another(i) { // the pane that is added: the next series, else the same one
    const { series } = this.data, first = this.look.panes[0];
    if (!series.length) return { ...first };
    const next = ((first.series ?? 0) + i) % series.length;
    return next === first.series ? { ...first } : this.begin(next, first, this.look.linked);
  }

  /** A series that comes onto the stage: linked, it stands at the place and in the pose of the view beside it. */
  begin(series, beside, linked) {
    const view = freshView(series, this.data.series[series]?.start ?? 0);
    if (!linked || series === null || typeof beside?.series !== "number") return view;
    const { slice, zoom, x, y, turn, flip } = beside, at = this.data.series[beside.series].first + slice;
    return { ...view, slice: this.nearest(series, at) ?? view.slice, zoom, x, y, turn, flip };
  }

  /** The image of a series at the place of image `index`, counted within the series; null for stacks that do not meet. */
  nearest(series, index) {
    const { images } = this.data, { at, orientation } = images[index], { first, count } = this.data.series[series];
    const own = images.slice(first, first + count);
    if (at === null || own.some((image) => image.at === null) || String(own[0].orientation) !== String(orientation)) return null;
    return own.reduce((best, image, i) => (Math.abs(image.at - at) < Math.abs(own[best].at - at) ? i : best), 0);
  }

  arrange(layout) {
    this.look.layout = layout;
    this.build(); // a cine whose pane is gone ends by itself
    this.refetch();
  }

  get active() { return this.panes[this.look.active] ?? this.panes[0]; }
  get mapped() { return this.panes.some((pane) => this.mapOf(pane)); }
  get marking() { return Boolean(TOOLS[this.look.tool].points); }

  activate(pane) {
    this.look.active = pane.index;
    this.later();
  }

  /** The panes that follow what is done to one. */
  together(pane) {
    return this.look.linked ? this.panes : [pane];
  }

  // ---- fetching ---------------------------------------------------------------------------------------------------
  need(index) {
    const image = this.data.images[index], read = (buffer) => (image.kind === "u16" ? new Uint16Array(buffer) : new Uint8Array(buffer));
    const lut = image.lut ? store.want(image.lut, (buffer) => new Uint8Array(buffer)) : null;
    return Promise.all([store.want(image.url, read, image.keep), lut]);
  }

  async readMap(map) {
    const bytes = await store.want(map.url, (buffer) => new Uint8Array(buffer));
    Object.assign(map, readMap(bytes.buffer, map, this.data.images[this.data.mapped[0]], this.data.columns > 1 ? 448 : 640));
  }

  async refetch() { // what the panes show, then the rest of their series
    this.later();
    const shown = this.panes.map((pane) => pane.at).filter((at) => at !== null);
    await Promise.allSettled(shown.map((at) => this.need(at)));
    if (this.closed) return;
    this.later();
    const maps = this.panes.map((pane) => this.maps.get(this.mapOf(pane))).filter(Boolean);
    const drawn = await Promise.allSettled(maps.map((map) => (map.raised ? null : this.readMap(map))));
    if (this.closed) return;
    if (drawn.some((result) => result.status === "rejected")) this.lost = true;
    this.complete = true;
    this.later();
    this.ahead();
  }

  fetchLate(map) { // a method that was not shown before
    map.asked ??= this.readMap(map).then(() => this.later(), () => { this.lost = true; this.later(); });
  }

  /** Fetch the series on the stage, nearest images first, as long as there is room. */
  ahead() {
    if (this.fetching) return;
    this.fetching = true;
    const next = () => {
      let best = null, far = Infinity;
      for (const { stack, view } of this.panes) {
        for (let i = 0; stack && i < stack.count; i++) {
          const away = Math.abs(i - view.slice), { url } = this.data.images[stack.first + i];
          if (away < far && !store.entries.has(url)) [best, far] = [stack.first + i, away];
        }
      }
      return best;
    };
    const work = async () => {
      for (let at = next(); at !== null && !this.closed; at = next()) {
        const { w, h, kind } = this.data.images[at];
        if (!store.room(w * h * { u8: 1, u16: 2, rgb: 3 }[kind])) return;
        await this.need(at).catch(() => null);
        if (this.panes.some((pane) => pane.at === at)) this.later();
      }
    };
    Promise.all(Array.from({ length: AT_ONCE }, work)).then(() => { this.fetching = false; });
  }

  /** Whether a pane shows the image that answer and map belong to; it may stand in its series once more. */
  answered({ at }) { return this.data.mapped.includes(at); }

  mapOf(pane) {
    if (pane.spec.bare || !this.answered(pane)) return null;
    return pane.spec.slot === null ? this.look.pick : this.look.slots[pane.spec.slot];
  }

  steps(series) {
    const { first, count } = this.data.series[series];
    if (!this.known.has(series)) this.known.set(series, stackSteps(this.data.images.slice(first, first + count).map((image) => image.at)));
    return this.known.get(series);
  }

  // ---- what a reader does -----------------------------------------------------------------------------------------
  presets(pane) {
    const { images } = this.data, { at, stack } = pane;
    if (at === null) return images[0]?.presets ?? [];
    return images[at].presets ?? images[stack?.first ?? 0].presets ?? [];
  }

  chosenPreset(pane) {
    const first = this.presets(pane)[0];
    return pane.view.window === null ? first?.title ?? "" : pane.view.preset;
  }

  preset(pane, preset) {
    if (!preset) return;
    for (const other of this.together(pane)) {
      const own = this.presets(other).find((p) => p.title === preset.title);
      if (!own) continue;
      other.view.preset = own.title;
      other.view.window = own.own ? null : own.auto ? "auto" : { centre: own.centre, width: own.width, kind: own.kind };
    }
    this.later();
  }

  level(pane, dx, dy) { // one window width is about 500 px of movement; each pane from its own window
    for (const other of this.together(pane)) {
      if (!other.image) continue;
      const { image, window: w } = other, step = Math.max(w.width, image.slope) / 500;
      other.view.window = { centre: w.centre - dy * step, width: Math.max(image.slope, w.width + dx * step), kind: w.kind };
      other.view.preset = "";
    }
    this.later();
  }

  pose(pane, next) { // zoom, place, turn and mirror, for all panes that are linked
    const { zoom, x, y, turn, flip } = next;
    for (const { view, image } of this.together(pane)) {
      const middle = image && pane.image ? sameMiddle(pane.image, image, x, y) : { x, y };
      Object.assign(view, { zoom, turn, flip }, view === pane.view ? { x, y } : middle);
    }
    this.later();
  }

  /** Linked panes with a spacing show a millimetre alike: screen pixels for a column where all of them fit, else nothing. */
  sharedFit(pane) {
    const alike = this.look.linked ? this.panes.filter(({ image, size }) => image && metric(image)[2] === "mm" && size[0]) : [];
    if (alike.length < 2 || !alike.includes(pane)) return undefined;
    const each = alike.map(({ image, view, size }) => fitScale(image, view.turn, ...size) / metric(image)[0]);
    return Math.min(...each) * metric(pane.image)[0];
  }

  zoom(pane, factor, e) {
    if (!pane.image) return;
    const rect = pane.frame.getBoundingClientRect(), [w, h] = pane.size;
    const [px, py] = e ? [e.clientX - rect.left, e.clientY - rect.top] : [w / 2, h / 2];
    this.pose(pane, zoomAt(pane.image, pane.pose, w, h, factor, px, py));
  }

  shift(pane, dx, dy) {
    if (pane.image) this.pose(pane, moveBy(pane.image, pane.pose, ...pane.size, dx, dy));
  }

  fit(pane) { this.pose(pane, { ...pane.view, zoom: 1, x: 0.5, y: 0.5 }); }
  flip(pane) { // left and right change places on the screen, however the image is turned
    const { view } = pane;
    this.pose(pane, { ...view, flip: !view.flip, turn: (4 - view.turn) % 4 });
  }
  rotate(pane) { this.pose(pane, { ...pane.view, turn: (pane.view.turn + 1) % 4 }); }

  invert() {
    this.look.invert = !this.look.invert;
    this.later();
  }

  scroll(pane, by) { // panes of the same stack of slices meet at the same place, others go as many images on
    if (!(pane.stack?.count > 1) || !by) return;
    const { view } = pane, was = view.slice;
    view.slice = clamp(was + by, 0, pane.stack.count - 1);
    for (const other of this.together(pane)) {
      if (other === pane || !(other.stack?.count > 1)) continue;
      other.view.slice = this.nearest(other.view.series, pane.at) ?? clamp(other.view.slice + view.slice - was, 0, other.stack.count - 1);
    }
    for (const { at: index } of this.panes) if (index !== null) this.need(index).then(() => this.later(), () => this.later());
    this.ahead();
    this.later();
  }

  play(pane) {
    this.cine = this.cine || !(pane.stack?.count > 1) ? null : new Cine(this, pane);
    this.later();
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.view.requestFullscreen?.().catch(() => null);
  }

  help() { this.sheet?.showModal(); }

  // ---- measurements -----------------------------------------------------------------------------------------------
  choose(tool) {
    this.look.tool = tool;
    this.draft = null;
    for (const pane of this.panes) pane.cross = null;
    this.later();
  }

  inside(pane, [x, y]) { return [clamp(x, 0, pane.image.w), clamp(y, 0, pane.image.h)]; }

  /** A point is set: the first begins a measurement, the last (by `settle`) ends it. */
  point(pane, place, done) {
    const at = this.inside(pane, place);
    if (this.draft && this.draft.image === pane.at) this.stretch(pane, at);
    else this.draft = { kind: this.look.tool, image: pane.at, points: [at, at], fresh: done };
    if (done && !this.draft.fresh) this.settle(pane);
    this.draft && (this.draft.fresh = false);
    this.later();
  }

  stretch(pane, place) {
    if (this.draft?.image === pane.at) this.draft.points[this.draft.points.length - 1] = this.inside(pane, place);
  }

  settle(pane) { // a point counts once it lies away from the one before
    const { draft } = this;
    if (!draft || draft.image !== pane.at) return;
    const [p, q] = draft.points.slice(-2).map((at) => toScreen(pane.matrix, at));
    if (Math.hypot(p[0] - q[0], p[1] - q[1]) < 3) return;
    if (draft.points.length < TOOLS[draft.kind].points) {
      draft.points.push(draft.points.at(-1));
      return;
    }
    const { kind, image, points } = draft;
    this.look.chosen = { kind, image, points };
    this.look.marks.push(this.look.chosen);
    this.draft = null;
    setText(this.live, `${TOOLS[kind].title}: ${measured(pane.image, pane.stored, this.look.chosen)}`);
    this.tell();
  }

  drag(pane, handle, place) { this.look.chosen.points[handle] = this.inside(pane, place); }

  remove() { // the chosen one, else the last
    const { look } = this, gone = look.marks.includes(look.chosen) ? look.chosen : look.marks.at(-1);
    if (!gone) return;
    look.marks = look.marks.filter((mark) => mark !== gone);
    look.chosen = null;
    this.tell();
    this.later();
  }

  cancel() {
    this.draft = null;
    this.look.chosen = null;
    this.later();
  }

  /** Measurements and view as Python gets them. */
  tell() {
    const { look, active } = this, { view, image, at } = active, w = image && active.window;
    const seen = image && {
      image: at, centre: w.centre, width: w.width, zoom: view.zoom, x: view.x, y: view.y, turn: view.turn, flip: view.flip, inverted: look.invert,
    };
    this.setStateValue("drawn", { marks: look.marks.map(plainMark), view: seen });
    this.later();
  }

  /** What the reader sees, for an export that shows the same. */
  query() {
    const w = this.panes[0].window, { opacity, threshold } = this.look;
    return new URLSearchParams({ centre: w.centre, width: w.width, kind: w.kind, opacity, threshold });
  }

  // ---- drawing ----------------------------------------------------------------------------------------------------
  later() {
    if (this.asked || this.closed) return;
    this.asked = true;
    this.view.dataset.ready = "0"; // "1" once all that was asked for has come and is drawn, "lost" where it cannot be had
    requestAnimationFrame(() => { this.asked = false; if (!this.closed) this.draw(); });
  }

  draw() {
    this.spread();
    const dpr = devicePixelRatio || 1, many = this.panes.length > 1 && this.bar && !this.data.slots.length;
    for (const pane of this.panes) {
      pane.frame.classList.toggle("active", many && pane === this.active);
      pane.draw(dpr);
    }
    const own = this.panes.length === 1 ? this.maps.get(this.mapOf(this.panes[0])) : null;
    if (this.scale) {
      this.scale.style.visibility = this.mapped ? "" : "hidden"; // it keeps its room: nothing moves while one scrolls
      this.drawScale(own?.raised ? own : null);
    }
    this.bar?.update();
    this.strip?.update();
    this.slices.watch();
    const failed = this.panes.some(({ image }) => image && store.fault(image.url) !== null);
    const waits = this.panes.some((pane) => (pane.image && !pane.stored) || this.maps.get(this.mapOf(pane))?.raised === null);
    if (this.complete) this.view.dataset.ready = this.lost || failed ? "lost" : waits ? "0" : "1";
  }

  drawScale(own) { // only where it would look otherwise than before
    const { scale, look, data } = this;
    const now = [scale.clientWidth, scale.clientHeight, devicePixelRatio, own?.max, look.map, look.opacity, look.threshold].join();
    if (this.scaled === now) return;
    this.scaled = now;
    drawScale(scale, data.bar, look, this.ramps, own, this.family);
  }

  /** The picture of a pane in grey levels: painted once for all panes and redraws. */
  painted(pane) {
    const { image, stored, window: w, at } = pane, lut = image.lut && pane.view.window === null ? store.get(image.lut) : null;
    const grey = [w.centre, w.width, w.kind, this.look.invert, Boolean(lut)].join(), key = `${at} ${grey}`;
    const known = this.pictures.get(key);
    if (known) return known;
    const shades = [image.kind, image.slope, image.intercept, image.padding, image.mono1, lut ? at : "", grey].join();
    if (this.shades !== shades) [this.shades, this.table] = [shades, greyTable(image, w, this.look.invert, lut)];
    const film = { canvas: this.canvasFor(image), shrunk: "" };
    paintFilm(film.canvas, image, stored, this.table);
    this.pictures.set(key, film);
    return film;
  }

  canvasFor(image) { // the oldest picture gives its canvas away; large films are kept but one for every pane
    const most = image.w * image.h > 2e6 ? this.panes.length : PAINTED;
    if (this.pictures.size < most) return Object.assign(el("canvas"), { width: image.w, height: image.h });
    const [key, old] = this.pictures.entries().next().value;
    this.pictures.delete(key);
    return Object.assign(old.canvas, { width: image.w, height: image.h });
  }
}

export default function (component) {
  const viewer = new Viewer(component);
  return () => viewer.close();
}
