// The cine: a series that turns by itself, one image at a time; for an image that is not here yet it waits.

class Cine {
  constructor(viewer, pane) {
    Object.assign(this, { viewer, index: pane.index, last: 0, asked: false, given: null });
    requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    const { viewer } = this, pane = viewer.panes[this.index];
    if (viewer.cine !== this || viewer.closed) return;
    if (!(pane?.stack?.count > 1)) { // its pane has left the stage, or shows a single image now
      viewer.cine = null;
      viewer.later();
      return;
    }
    if (!this.asked && now - this.last >= (pane.stack.frame_ms || 100) - 4) {
      this.last = now;
      this.step(pane);
    }
    requestAnimationFrame((then) => this.tick(then));
  }

  step(pane) {
    const { viewer } = this, { view, stack } = pane, was = view.slice, on = was + 1 < stack.count ? 1 : -was;
    const next = stack.first + was + on, given = this.given === next;
    this.given = null;
    if (given || store.get(viewer.data.images[next].url)) {
      viewer.scroll(pane, on); // always from a tick, so that it is drawn before the next one
      return;
    }
    this.asked = true; // one request at a time, then one step, whether it came or not
    const go = () => Object.assign(this, { asked: false, last: 0, given: next });
    viewer.need(next).then(go, go);
  }
}
