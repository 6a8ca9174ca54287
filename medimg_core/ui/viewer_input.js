// Pointer, wheel, touch and keys on a pane. Nothing here asks the server; a finished measurement is told to it.

const STEP = 0.05; // share of the frame that an arrow key moves

/** Everything that a reader can do on a frame. */
function listen(viewer, pane) {
  const { frame } = pane, hands = new Hands(viewer, pane);
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", `${pane.spec.alt}. Press ? for the keys.`);
  frame.oncontextmenu = (e) => e.preventDefault();
  frame.onpointerdown = (e) => hands.down(e);
  frame.onpointermove = (e) => hands.move(e);
  frame.onpointerup = frame.onpointercancel = (e) => hands.up(e);
  frame.onpointerleave = () => { pane.probe = null; viewer.later(); };
  frame.ondblclick = () => { if (!TOOLS[viewer.look.tool].points) viewer.fit(pane); };
  frame.addEventListener("wheel", (e) => {
    e.preventDefault();
    if (pane.stack?.count > 1 && !e.ctrlKey) hands.wheel(e.deltaY);
    else viewer.zoom(pane, Math.exp(-e.deltaY / 400), e);
  }, { passive: false });
  frame.onkeydown = (e) => keys(viewer, pane, e);
  frame.onfocus = () => viewer.activate(pane);
  frame.onblur = () => { pane.cross = null; viewer.later(); };
}

class Hands {
  constructor(viewer, pane) {
    Object.assign(this, { viewer, pane, fingers: new Map(), doing: null, left: 0 });
  }

  wheel(delta) { // a notch is a slice; fine wheels and touchpads add up
    this.left += Math.abs(delta) >= 50 ? Math.sign(delta) : delta / 50;
    const whole = Math.trunc(this.left);
    this.left -= whole;
    if (whole) this.viewer.scroll(this.pane, whole);
  }

  down(e) {
    const { viewer, pane, fingers } = this;
    try { pane.frame.setPointerCapture(e.pointerId); } catch { /* the pointer is gone already */ }
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    viewer.activate(pane);
    pane.cross = null;
    if (fingers.size > 1) {
      this.doing = "pinch";
      viewer.draft = null;
      return;
    }
    this.doing = this.action(e);
    if (this.doing === "mark") viewer.point(pane, pane.place(e), false);
    if (this.doing === "correct") viewer.correction.grab(pane, e);
  }

  action(e) {
    const { viewer, pane } = this;
    if (e.button === 2) return "zoom";
    if (e.button === 1 || e.shiftKey) return "move";
    if (!pane.stored) return null;
    const rect = pane.frame.getBoundingClientRect(), own = viewer.look.marks.filter((mark) => mark.image === pane.at);
    const held = viewer.draft ? null : handleAt(own, pane.matrix, [e.clientX - rect.left, e.clientY - rect.top], e.pointerType === "touch" ? 2 * REACH : REACH);
    if (held) {
      [viewer.look.chosen, this.handle] = held;
      viewer.later();
      return "handle";
    }
    return TOOLS[viewer.look.tool].points ? "mark" : viewer.look.tool;
  }

  move(e) {
    const { viewer, pane, fingers, doing } = this, before = fingers.get(e.pointerId);
    pane.probe = pane.image ? pane.place(e) : null;
    if (!before) {
      if (viewer.draft) viewer.stretch(pane, pane.probe);
      viewer.later();
      return;
    }
    if (doing === "pinch") { this.pinch(e); return; }
    const dx = e.clientX - before[0], dy = e.clientY - before[1];
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    if (doing === "window") viewer.level(pane, dx, dy);
    else if (doing === "move") viewer.shift(pane, dx, dy);
    else if (doing === "zoom") viewer.zoom(pane, Math.exp(-dy / 200));
    else if (doing === "scroll") this.drag(dy);
    else if (doing === "mark") viewer.stretch(pane, pane.probe);
    else if (doing === "handle") viewer.drag(pane, this.handle, pane.probe);
    else if (doing === "correct") viewer.correction.drag(pane, e);
    viewer.later();
  }

  drag(dy) {
    const per = Math.max(4, this.pane.frame.clientHeight / Math.max(1, this.pane.stack?.count ?? 1));
    this.left += dy / per;
    const whole = Math.trunc(this.left);
    this.left -= whole;
    if (whole) this.viewer.scroll(this.pane, whole);
  }

  pinch(e) { // two fingers: their distance zooms, their middle moves
    const { viewer, pane, fingers } = this;
    if (fingers.size < 2) return; // one of them was lifted
    const [p, q] = [...fingers.values()], far = Math.hypot(p[0] - q[0], p[1] - q[1]);
    fingers.set(e.pointerId, [e.clientX, e.clientY]);
    const [u, v] = [...fingers.values()], now = Math.hypot(u[0] - v[0], u[1] - v[1]);
    const middle = { clientX: (u[0] + v[0]) / 2, clientY: (u[1] + v[1]) / 2 };
    viewer.shift(pane, middle.clientX - (p[0] + q[0]) / 2, middle.clientY - (p[1] + q[1]) / 2);
    if (far > 0) viewer.zoom(pane, now / far, middle);
  }

  up(e) {
    const { viewer, pane, fingers, doing } = this;
    fingers.delete(e.pointerId);
    if (fingers.size) return;
    if (doing === "mark") viewer.settle(pane);
    else if (doing === "handle") viewer.tell();
    else if (doing === "correct") viewer.correction.release(pane);
    this.doing = null;
    this.left = 0;
  }
}

/** Keys on a frame. What is handled here does not reach the page, which has keys of its own. */
function keys(viewer, pane, e) {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const act = (viewer.marking ? crossKeys(viewer, pane, e) : null) ?? plainKeys(viewer, pane, e);
  if (!act) return;
  e.preventDefault();
  e.stopPropagation();
  act();
  viewer.later();
}

function crossKeys(viewer, pane, e) { // a measuring tool is chosen: arrows move a cross, Enter sets a point
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }, way = ways[e.key];
  if (e.key === "Enter" && pane.cross) return () => { viewer.point(pane, pane.cross, true); };
  if (!way && e.key !== "Enter") return null;
  return () => {
    const { image } = pane, start = toImage(pane.matrix, pane.size.map((s) => s / 2));
    const [x, y] = toScreen(pane.matrix, pane.cross ?? start), step = e.shiftKey ? 20 : 2, [dx, dy] = way ?? [0, 0];
    const next = toImage(pane.matrix, [x + dx * step, y + dy * step]);
    pane.cross = [clamp(next[0], 0, image.w), clamp(next[1], 0, image.h)];
    pane.probe = pane.cross;
    if (viewer.draft) viewer.stretch(pane, pane.cross);
  };
}

function plainKeys(viewer, pane, e) {
  const step = STEP * Math.min(...pane.size), many = pane.stack?.count > 1 && !e.shiftKey;
  const turn = (n) => () => viewer.scroll(pane, n), shift = (dx, dy) => () => viewer.shift(pane, dx * step, dy * step);
  const tool = Object.keys(TOOLS).find((name) => TOOLS[name].key === e.key.toLowerCase() && viewer.data.tools.includes(name));
  if (tool) return () => viewer.choose(tool);
  if (/^[1-9]$/.test(e.key)) return () => viewer.preset(pane, viewer.presets(pane)[+e.key - 1]);
  return {
    "+": () => viewer.zoom(pane, 1.25), "=": () => viewer.zoom(pane, 1.25), "-": () => viewer.zoom(pane, 0.8), 0: () => viewer.fit(pane),
    ArrowLeft: shift(1, 0), ArrowRight: shift(-1, 0),
    ArrowUp: many ? turn(-1) : shift(0, 1), ArrowDown: many ? turn(1) : shift(0, -1),
    PageUp: turn(-1), PageDown: turn(1), Home: turn(-Infinity), End: turn(Infinity), " ": () => viewer.play(pane),
    "[": () => viewer.level(pane, -25, 0), "]": () => viewer.level(pane, 25, 0),
    ",": () => viewer.level(pane, 0, -25), ".": () => viewer.level(pane, 0, 25),
    n: () => viewer.slices.step(pane, 1), p: () => viewer.slices.step(pane, -1),
    i: () => viewer.invert(), h: () => viewer.flip(pane), r: () => viewer.rotate(pane),
    f: () => viewer.fullscreen(), "?": () => viewer.help(), Delete: () => viewer.remove(), Backspace: () => viewer.remove(),
    Escape: viewer.draft || viewer.look.chosen ? () => viewer.cancel() : undefined,
  }[e.key.length === 1 ? e.key.toLowerCase() : e.key];
}
