// The cine: a series that turns by itself, one image at a time; for an image that is not here yet it waits.

class Cine {
  constructor(viewer, pane) {
    Object.assign(this, { viewer, index: pane.index, last: 0, asked: false });
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
    const next = stack.first + was + on;
    if (store.get(viewer.data.images[next].url)) {
      viewer.scroll(pane, on);
      return;
    }
    this.asked = true; // one request at a time, then one step, whether it came or not
    const go = () => {
      this.asked = false;
      if (viewer.cine === this && viewer.panes[this.index] === pane && pane.stack === stack && view.slice === was) viewer.scroll(pane, on);
    };
    viewer.need(next).then(go, go);
  }
}
