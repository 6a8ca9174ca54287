// One pane: a frame with a picture, words in its corners, and what lies over the picture.

const el = (tag, cls = "", text = "") => Object.assign(document.createElement(tag), { className: cls, textContent: text });
const figure = (v) => (v < 0 ? "−" : "") + Math.abs(v).toFixed(2);
const plain = (v) => String(Math.abs(v) >= 1e4 ? Math.round(v) : +v.toPrecision(4)).replace("-", "−");
const setText = (node, text) => { if (node && node.textContent !== text) node.textContent = text; };
const SOON = 300; // ms of a black pane before it says what it waits for
const freshView = (series, slice) => (
  { series, slice, window: null, preset: "", zoom: 1, x: 0.5, y: 0.5, turn: 0, flip: false }
);

class Pane {
  /** @param spec what Python says about the pane; @param index its place on the stage. */
  constructor(viewer, spec, index) {
    Object.assign(this, { viewer, spec, index, probe: null, cross: null, since: null, timer: null });
    this.box = el("figure", spec.opens ? "pane open" : "pane");
    this.frame = el("div", "frame");
    this.canvas = el("canvas", "draw");
    this.corners = [0, 1, 2, 3].map((i) => el("span", "corner c" + i));
    this.note = el("span", "note");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", spec.alt);
    if (spec.image === null) this.frame.classList.add("none");
    this.frame.append(this.canvas, ...this.corners, this.note);
    if (viewer.chooses) this.frame.append(this.chooser());
    this.box.append(this.frame);
    if (spec.title || spec.slot !== null) this.box.append(this.caption());
    if (spec.opens) this.opener();
    else if (spec.image !== null) listen(viewer, this);
  }

  get view() { return this.viewer.look.panes[this.index]; }

  /** Index of the image shown; null on an empty pane. */
  get at() {
    const { view, spec } = this, { series } = this.viewer.data;
    return view.series === null ? spec.image : series[view.series].first + view.slice;
  }

  get image() { return this.at === null ? null : this.viewer.data.images[this.at]; }
  get stack() { return this.view.series === null ? null : this.viewer.data.series[this.view.series]; }
  get stored() { return this.image && store.get(this.image.url); }
  get size() { return [this.frame.clientWidth, this.frame.clientHeight]; }
  get pose() { return { ...this.view, fit: this.viewer.sharedFit(this) }; }
  get matrix() { return placement(this.image, this.pose, ...this.size); }

  /** The window that the picture is shown with now. */
  get window() {
    const { view, image } = this;
    if (view.window !== "auto") return view.window ?? image.window;
    return this.stored ? (image.auto ??= autoWindow(image, this.stored)) : image.window;
  }

  opener() {
    const { box, viewer, spec } = this;
    box.tabIndex = 0;
    box.setAttribute("role", "button");
    box.onclick = () => viewer.setTriggerValue("open", spec.opens);
    box.onkeydown = (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); box.onclick(); } };
  }

  chooser() { // which series stands in this pane
    const options = this.viewer.data.series.map((series, i) => [String(i), series.title]);
    const list = select(options, String(this.view.series), "Series in this pane", (id) => {
      const { viewer } = this, beside = viewer.panes.find((pane) => pane !== this);
      Object.assign(this.view, viewer.begin(+id, beside?.view, viewer.look.linked));
      this.viewer.refetch();
    });
    list.classList.add("chooser");
    list.onpointerdown = (e) => e.stopPropagation();
    return list;
  }

  caption() {
    const { spec, viewer } = this, cap = el("figcaption");
    this.verdict = el("span", "verdict");
    this.head = el("b", "mark", spec.title ?? "");
    this.head.title = spec.title ?? "";
    if (spec.slot === null) {
      cap.append(this.head, this.verdict);
      return cap;
    }
    const options = Object.entries(viewer.data.methods).map(([id, m]) => [id, m.title]), line = el("div", "line");
    line.append(this.head, select(options, viewer.look.slots[spec.slot], "Method", (id) => {
      viewer.look.slots = viewer.look.slots.with(spec.slot, id);
      if (!viewer.maps.has(id)) viewer.setStateValue("slots", viewer.look.slots);
      viewer.later();
    }), this.exportLink());
    cap.append(line, this.verdict);
    return cap;
  }

  exportLink() {
    this.link = el("a", "link", "PNG");
    this.link.setAttribute("aria-label", "Save this map as PNG");
    this.link.onclick = () => { this.link.href = this.viewer.data.methods[this.viewer.mapOf(this)].link + "?" + this.viewer.query(); };
    return this.link;
  }

  /** The place under a screen event, in image coordinates. */
  place(e) {
    const rect = this.frame.getBoundingClientRect();
    return toImage(this.matrix, [e.clientX - rect.left, e.clientY - rect.top]);
  }

  // ---- drawing ----------------------------------------------------------------------------------------------------
  draw(dpr) {
    const { canvas, frame, viewer } = this, c = canvas.getContext("2d"), { look } = viewer;
    const wide = Math.round(frame.clientWidth * dpr), high = Math.round(frame.clientHeight * dpr);
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    c.reset(); // nothing of another image can stay
    c.family = viewer.family;
    const map = viewer.maps.get(viewer.mapOf(this));
    if (map && !map.raised && viewer.complete) viewer.fetchLate(map);
    this.words(map);
    const { image, stored } = this;
    if (!stored || !canvas.width || !canvas.height) return;
    const m = denser(this.matrix, dpr);
    this.drawFilm(c, m);
    if (map?.raised && look.map) {
      c.drawImage(this.overlay(map, m, dpr), 0, 0);
    }
    if (look.regions) drawFindings(this, c, m, dpr);
    const marks = look.marks.filter((mark) => mark.image === this.at), { draft } = viewer;
    const shown = draft?.image === this.at ? [...marks, draft] : marks;
    drawMarks(c, shown, image, stored, m, dpr, draft ?? look.chosen, viewer.accent);
    if (this.cross) drawCross(c, toScreen(m, this.cross), dpr, viewer.accent);
    if (viewer.data.corners) this.drawAids(c, m, dpr);
  }

  /** The map where it lies now; drawn anew only when map, place or look change, not with every image of a series. */
  overlay(map, m, dpr) {
    const { viewer, canvas, image } = this, { look, data, ramps } = viewer;
    const now = [map.url, m, look.opacity, look.threshold, canvas.width, canvas.height].join();
    if (this.laid === now) return this.over;
    this.over = Object.assign(el("canvas"), { width: canvas.width, height: canvas.height });
    drawMap(this.over.getContext("2d"), map, image, m, look, ramps, [data.ramps.for[1], data.ramps.against[1]], dpr);
    this.laid = now;
    return this.over;
  }

  regions() {
    return this.viewer.data.regions.filter((region) => region.image === this.at);
  }

  drawFilm(c, m) {
    const { image, view } = this, film = this.viewer.painted(this);
    const k = Math.hypot(m[0], m[1]), w = Math.max(1, Math.round(image.w * k)), h = Math.max(1, Math.round(image.h * image.aspect * k));
    if (k >= 1 || view.zoom > 1) {
      c.imageSmoothingEnabled = k < 8; // from eight screen pixels on the pixels themselves are what one looks at
      c.setTransform(...m);
      c.drawImage(film.canvas, 0, 0, image.w, image.h);
      c.resetTransform();
      return;
    }
    if (film.shrunk !== `${w} ${h}`) { // shrinking a large film well is slow: once for all panes and redraws
      film.small = Object.assign(el("canvas"), { width: w, height: h });
      const pen = film.small.getContext("2d");
      pen.imageSmoothingQuality = "high";
      pen.drawImage(film.canvas, 0, 0, w, h);
      film.shrunk = `${w} ${h}`;
    }
    const tall = k * image.aspect;
    c.setTransform(m[0] / k, m[1] / k, m[2] / tall, m[3] / tall, Math.round(m[4]), Math.round(m[5]));
    c.drawImage(film.small, 0, 0);
    c.resetTransform();
  }

  drawAids(c, m, dpr) { // letters of the patient's directions, and a bar of known length
    const { image, view } = this, { width, height } = c.canvas, sides = letters(image.sides, view);
    const tight = width < 520 * dpr; // the bar goes to the right then, away from the words on the left
    this.frame.classList.toggle("tight", tight);
    c.font = `600 ${13 * dpr}px ${c.family}`;
    c.textBaseline = "middle";
    c.textAlign = "center";
    const write = (text, x, y) => {
      c.lineWidth = 3 * dpr;
      c.strokeStyle = "#000";
      c.strokeText(text, x, y);
      c.fillStyle = "#D3D7DA";
      c.fillText(text, x, y);
    };
    if (sides) {
      write(sides.left, 18 * dpr, height / 2);
      write(sides.right, width - 18 * dpr, height / 2);
      write(sides.top, width / 2, 14 * dpr);
      write(sides.bottom, width / 2, height - this.room(tight) * dpr);
    }
    const bar = scaleBar(image, Math.hypot(m[0], m[1]), Math.min(140 * dpr, width / 3));
    if (!bar) return;
    const x = tight ? width - bar.px - 10 * dpr : (width - bar.px) / 2, y = height - 8 * dpr;
    c.fillStyle = "#000";
    c.fillRect(x - dpr, y - 5 * dpr, bar.px + 2 * dpr, 7 * dpr);
    c.fillStyle = "#D3D7DA";
    c.fillRect(x, y - dpr, bar.px, 2 * dpr);
    c.fillRect(x, y - 4 * dpr, dpr, 5 * dpr);
    c.fillRect(x + bar.px - dpr, y - 4 * dpr, dpr, 5 * dpr);
    c.font = `${12 * dpr}px ${c.family}`;
    write(bar.mm >= 10 ? `${bar.mm / 10} cm` : `${plain(bar.mm)} mm`, x + bar.px / 2, y - 12 * dpr);
  }

  room(tight) { // below the lower letter: the bar, or in a narrow pane the words that reach the middle
    const words = this.corners[2];
    if (!tight) return 34;
    return words.offsetLeft + words.offsetWidth > this.frame.clientWidth / 2 - 10 ? words.offsetHeight + 18 : 14;
  }

  // ---- words ------------------------------------------------------------------------------------------------------
  words(map) {
    const { image, viewer } = this, { data } = viewer;
    if (image && data.corners) {
      const lut = image.lut && !this.view.window, w = this.window;
      const level = image.kind === "rgb" && !this.view.window ? "" : lut ? "VOI look-up table" : `window ${plain(w.centre)} / ${plain(w.width)}`;
      const zoom = this.view.zoom > 1 ? `zoom ${this.view.zoom.toFixed(1)}` : "";
      setText(this.corners[0], image.corner);
      setText(this.corners[1], [level, zoom, this.above(map)].filter(Boolean).join("\n"));
      setText(this.corners[2], [...this.stackWords(), image.spacing].filter(Boolean).join("\n"));
      setText(this.corners[3], this.probeWords(map));
    }
    const method = data.methods?.[viewer.mapOf(this)];
    if (this.spec.slot !== null && method) {
      setText(this.verdict, method.verdict);
      this.head.className = "mark " + method.mark;
      Object.assign(this.link, { href: method.link, download: method.file, hidden: !map });
    }
    const said = this.noteWords(map, method);
    setText(this.note, said);
    this.note.hidden = !said;
    const loading = image && !this.stored && store.fault(image.url) === null;
    const beside = said === data.words.answered && this.near; // another slice of the answered series: nothing to warn of
    this.note.classList.toggle("calm", this.spec.calm || beside || (loading && !store.down) || (this.spec.slot !== null && !map)); // waiting is nothing to warn of
    this.note.classList.toggle("alone", !this.stored);
  }

  /** Whether the image that was answered stands in the series of this pane. */
  get near() {
    const { stack } = this;
    return Boolean(stack) && this.viewer.data.mapped.some((at) => at >= stack.first && at < stack.first + stack.count);
  }

  above(map) { // the size of where the map lies above its threshold
    const { image, viewer } = this, { map: shown, threshold } = viewer.look;
    if (!map?.raised || !shown || !(threshold > 0) || map.max < threshold) return "";
    const [, , unit] = metric(image), from = unit === "mm" && image.source ? ` (${image.source})` : "";
    return `map: ${short(areaAbove(map, image, threshold))} ${unit}²${from}`;
  }

  stackWords() { // where in the stack, and what is missing there
    const { stack, view } = this;
    if (!stack || stack.count < 2) return [];
    const { usual, gaps, doubles } = this.viewer.steps(view.series), at = this.image.at;
    const place = usual !== null ? `, ${at.toFixed(1).replace("-", "−")} mm` : "";
    const out = [[`image ${view.slice + 1} of ${stack.count}${place}`, this.viewer.slices.said(this)].filter(Boolean).join(", ")];
    const there = (list) => list.includes(view.slice) || list.includes(view.slice - 1);
    if (gaps.length) out.push(there(gaps) ? `gap here; slices are ${plain(usual)} mm apart elsewhere` : `${gaps.length === 1 ? "one gap" : gaps.length + " gaps"} in this series`);
    if (doubles.length) out.push(there(doubles) ? "two images at this position" : "some positions occur twice");
    return out;
  }

  probeWords(map) {
    const { probe, image, stored } = this;
    if (!probe || !stored) return "";
    const [x, y] = probe.map(Math.floor);
    if (x < 0 || y < 0 || x >= image.w || y >= image.h) return "";
    const i = y * image.w + x, grey = image.kind !== "rgb";
    const value = grey ? plain(stored[i] * image.slope + image.intercept) + (image.unit ? " " + image.unit : "") : [...stored.subarray(3 * i, 3 * i + 3)].join(", ");
    const out = [`row ${y}, column ${x}: ${value}`], [column, row, unit] = metric(image);
    if (unit === "mm") out.push(`${(probe[0] * column).toFixed(1)} mm right, ${(probe[1] * row).toFixed(1)} mm down`);
    const evidence = map?.raised && this.viewer.look.map ? mapAt(map, image, probe) : null;
    if (evidence !== null) out.push(`evidence ${figure(evidence)}`);
    return out.join("\n");
  }

  /** Words for an image that is on its way; nothing in the first moments. */
  coming() {
    const { image, stack, view, viewer } = this;
    if (!image || this.stored) {
      clearTimeout(this.timer);
      this.timer = this.since = null;
      return "";
    }
    this.since ??= performance.now();
    this.timer ??= setTimeout(() => { this.timer = null; viewer.later(); }, SOON);
    if (performance.now() - this.since < SOON - 5) return "";
    if (store.down) return "Waiting for the connection";
    return stack?.count > 1 ? `Loading image ${view.slice + 1}` : "Loading the image";
  }

  noteWords(map, method) {
    const { viewer, spec, image } = this, { look, data } = viewer;
    const fault = image ? store.fault(image.url) : null;
    if (fault !== null) return fault || data.words.lost;
    if (viewer.lost) return data.words.lost;
    const coming = this.coming();
    if (coming) return coming;
    if (!image) return spec.note;
    if (data.words.answered && !viewer.answered(this)) return data.words.answered;
    if (spec.slot !== null && !map) return method?.waiting ?? "";
    if (!map) return spec.note;
    if (!look.map) return data.words.off;
    if (map.raised && map.max < look.threshold) {
      const said = map.raw && map.max > 0 ? data.words.raw : data.words.empty;
      return said.replace("{maximum}", figure(map.max));
    }
    return spec.note;
  }
}
