// The slices of a series: which one the page speaks about, which counted in its answer, and where the reader rests.
// Scrolling itself asks nothing of the server; its end is told once.

const REST = 400; // ms without scrolling after which the server is told which image the reader rests on
const TURNED = ["pointerdown", "focusin"]; // by which a reader turns to the page around the viewer

class Slices {
  /** @param again whether the same view was shown before: then Python knows what it was told last. */
  constructor(viewer, again) {
    const { data, look } = viewer;
    Object.assign(this, { viewer, seen: (again ? look.rested : null) ?? data.wanted, timer: null });
    if (data.wanted !== null && look.wanted !== data.wanted) {
      look.wanted = data.wanted;
      this.bring(data.wanted);
    }
    this.turned = (e) => { if (!e.composedPath().includes(viewer.view)) this.tell(); };
    for (const kind of TURNED) document.addEventListener(kind, this.turned, true);
    this.click = (e) => this.follow(e);
    if (data.counted) document.addEventListener("click", this.click);
  }

  close() {
    clearTimeout(this.timer);
    for (const kind of TURNED) document.removeEventListener(kind, this.turned, true);
    document.removeEventListener("click", this.click);
  }

  /** With every drawing: begin to wait where another image has come up. A cine is told once it has stopped. */
  watch() {
    const { viewer } = this, { at } = viewer.active;
    if (viewer.data.wanted === null || at === this.seen) return;
    clearTimeout(this.timer);
    if (viewer.cine) return;
    this.seen = at;
    this.timer = setTimeout(() => this.tell(), REST);
  }

  /** Tell it now: the time is over, or the reader turns to the page, whose answer to a click must know it. */
  tell() {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.timer = null;
    this.viewer.look.rested = this.viewer.active.at;
    this.viewer.setStateValue("at", this.viewer.active.at);
  }

  /** Bring an image up: in the active pane or another that shows its series, else in the active one. */
  bring(index) {
    const { viewer } = this, within = ({ first, count }) => index >= first && index < first + count;
    const pane = [viewer.active, ...viewer.panes].find(({ stack }) => stack && within(stack));
    if (pane) {
      viewer.activate(pane);
      viewer.scroll(pane, index - pane.at);
      return;
    }
    const series = viewer.data.series.findIndex(within);
    if (series < 0) return;
    Object.assign(viewer.active.view, freshView(series, index - viewer.data.series[series].first));
    viewer.build();
    viewer.refetch();
  }

  follow(e) { // a link of the page around the viewer: #slice-7 is the seventh of the series that was answered
    const link = e.composedPath().find((node) => node.localName === "a" && node.hash?.startsWith("#slice-"));
    if (!link) return;
    e.preventDefault();
    const { series, counted } = this.viewer.data;
    this.bring(series[counted.series].first + Number(link.hash.slice("#slice-".length)) - 1);
  }

  /** The next slice that counted, upwards or downwards from where the pane stands. */
  step(pane, way) {
    const { counted } = this.viewer.data, { series, slice } = pane.view;
    if (counted?.series !== series) return;
    const [next] = counted.slices.filter((i) => (i - slice) * way > 0).sort((a, b) => (a - b) * way);
    if (next !== undefined) this.viewer.scroll(pane, next - slice);
    setText(this.viewer.live, next === undefined ? "No further slice that counted" : `Slice ${next + 1}, ${this.said(pane)}`);
  }

  /** What the slice in a pane weighed; empty for one that did not count. */
  said({ view }) {
    const { counted } = this.viewer.data;
    if (counted?.series !== view.series || !counted.slices.includes(view.slice)) return "";
    return `weight ${Math.round(100 * counted.weights[view.slice])} %`;
  }
}

/** Marks above the slider: the height grows with the root of the weight, so that a slice of a hundredth is still seen. */
function sliceMarks({ weights, slices, evidence }) {
  const marks = el("span", evidence ? "marks evidence" : "marks"), last = Math.max(1, weights.length - 1);
  weights.forEach((weight, i) => {
    if (!weight) return;
    const mark = el("i", slices.includes(i) ? "most" : "");
    mark.style.left = `${(100 * i) / last}%`;
    mark.style.height = `${Math.min(13, Math.max(2, 20 * Math.sqrt(weight)))}px`;
    marks.append(mark);
  });
  return marks;
}
