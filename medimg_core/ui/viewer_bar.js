// Toolbar above the stage, list of tools beside it, help sheet.

const HELP = [
  ["Drag", "the chosen tool; at first the window: right is wider, down is brighter"],
  ["Shift and drag, middle button", "move the image"],
  ["Right button and drag", "zoom"],
  ["Wheel", "images of a series, else zoom; with Ctrl always zoom"],
  ["Two fingers", "zoom and move"],
  ["Double click, 0", "whole image"],
  ["+ and −", "zoom"],
  ["Arrows", "move the image; up and down turn the images of a series"],
  ["Page up, page down, Home, End", "images of a series"],
  ["Space", "play or stop a series"],
  ["N, P", "next and previous slice that counted in the answer to a series"],
  ["1 to 9", "windows in the order of the toolbar"],
  ["[ and ]", "window narrower, wider"],
  [", and .", "window darker, brighter"],
  ["I, H, R", "inverted, mirrored, turned"],
  ["Measuring with keys", "arrows move the cross (Shift: far), Enter sets a point"],
  ["Delete, Esc", "take a measurement away, leave it"],
  ["F", "full screen"],
];

const pressed = (b, on) => b?.setAttribute("aria-pressed", String(on));

function button(parent, text, act, title = "") {
  const b = Object.assign(el("button", "", text), { type: "button", title });
  b.onclick = act;
  parent.append(b);
  return b;
}

function select(options, value, label, act) {
  const s = el("select");
  s.setAttribute("aria-label", label);
  options.forEach(([id, text]) => s.append(Object.assign(el("option", "", text), { value: id })));
  s.value = value;
  s.onchange = () => act(s.value);
  return s;
}

/** The toolbar: windows, maps, lists, the place in a series. */
class Bar {
  constructor(viewer) {
    this.viewer = viewer;
    this.node = el("div", "bar");
    const { data, look } = viewer;
    this.windows = this.group("Window");
    if (viewer.maps.size) {
      this.map = button(this.group(""), "Map", () => { look.map = !look.map; viewer.later(); });
      this.slider(this.group("Opacity"), "opacity", "Opacity of the map");
      this.slider(this.group("Above"), "threshold", "Show the map from this value on");
    }
    if (data.regions.length) {
      this.regions = button(this.group(""), "Outlines", () => { look.regions = !look.regions; viewer.later(); });
      if (data.legend?.length) {
        look.fill ??= FILL;
        this.slider(this.group("Filled"), "fill", "Opacity of what the outlines surround");
      }
    }
    if (data.picker) this.picker(data.picker);
    if (data.series.some((series) => series.count > 1)) this.slices();
    if (viewer.layouts.length > 1) this.layouts();
  }

  group(label) {
    const g = el("div", "group");
    if (label) g.append(el("span", "label", label));
    this.node.append(g);
    return g;
  }

  slider(group, key, name) {
    const { look } = this.viewer;
    const input = Object.assign(el("input"), { type: "range", min: 0, max: 1, step: 0.01, value: look[key] });
    const shown = el("output", "", look[key].toFixed(2));
    input.setAttribute("aria-label", name);
    input.oninput = () => { look[key] = +input.value; shown.textContent = look[key].toFixed(2); this.viewer.later(); };
    group.append(input, shown);
  }

  picker(picker) {
    const { viewer } = this;
    this.group(picker.visible ? picker.label : "").append(select(picker.options, viewer.look.pick, picker.label, (id) => {
      viewer.look.pick = id;
      if (picker.server) viewer.setStateValue("pick", id);
      viewer.later();
    }));
  }

  slices() {
    const g = this.group("Image"), { viewer } = this, { counted } = viewer.data, rail = el("span", "rail");
    this.slice = Object.assign(el("input"), { type: "range", min: 1, step: 1 });
    this.slice.setAttribute("aria-label", "Image of the series");
    this.slice.oninput = () => viewer.scroll(viewer.active, +this.slice.value - 1 - viewer.active.view.slice);
    this.count = el("output", "wide");
    rail.append(this.slice);
    if (counted) rail.append(this.marks = sliceMarks(counted));
    g.append(rail, this.count);
    this.playing = button(g, "Play", () => viewer.play(viewer.active));
  }

  layouts() {
    const g = this.group("Panes"), { viewer } = this;
    g.append(select(viewer.layouts.map((name) => [name, name.replace("x", " × ")]), viewer.look.layout, "Panes", (name) => viewer.arrange(name)));
    this.linked = button(g, "Linked", () => { viewer.look.linked = !viewer.look.linked; viewer.later(); }, "Panes scroll, zoom and change their window together");
  }

  /** Bring buttons and sliders to what the active pane shows. */
  update() {
    const { viewer } = this, { look, active } = viewer, found = viewer.presets(active), names = found.map((p) => p.title).join();
    if (this.names !== names) this.rebuild(found, names);
    this.windows.querySelectorAll("button").forEach((b, i) => pressed(b, found[i].title === viewer.chosenPreset(active)));
    this.windows.querySelector("select").value = viewer.chosenPreset(active);
    pressed(this.map, look.map);
    if (this.map) this.map.disabled = !viewer.mapped;
    pressed(this.regions, look.regions);
    pressed(this.linked, look.linked);
    if (this.linked) this.linked.hidden = viewer.panes.length < 2;
    if (!this.slice) return;
    const count = active.stack?.count ?? 1, now = (active.stack ? active.view.slice : 0) + 1;
    Object.assign(this.slice, { max: count, value: now, disabled: count < 2 });
    setText(this.count, `${now} of ${count}`);
    if (this.marks) this.marks.hidden = active.view.series !== viewer.data.counted.series;
    this.slice.setAttribute("aria-valuetext", [`${now} of ${count}`, viewer.slices?.said(active)].filter(Boolean).join(", "));
    setText(this.playing, viewer.cine ? "Stop" : "Play");
  }

  rebuild(found, names) { // as buttons, or as a list where the toolbar is narrow
    const { viewer } = this, act = (preset) => viewer.preset(viewer.active, preset);
    this.names = names;
    this.windows.querySelectorAll("button, select").forEach((old) => old.remove());
    found.forEach((preset) => { button(this.windows, preset.title, () => act(preset)); });
    const list = select(found.map((p) => [p.title, p.title]), "", "Window", (title) => act(found.find((p) => p.title === title)));
    this.windows.append(list);
  }
}

/** The tools beside the stage. */
class Strip {
  constructor(viewer) {
    this.viewer = viewer;
    this.node = el("div", "strip");
    this.node.setAttribute("role", "toolbar");
    this.node.setAttribute("aria-label", "Tools");
    this.tools = viewer.data.tools.filter((name) => name !== "scroll" || viewer.data.series.some((s) => s.count > 1)).map((name) => {
      const { title, key } = TOOLS[name];
      return [name, button(this.node, title, () => viewer.choose(name), `Key ${key.toUpperCase()}`)];
    });
    this.away = button(this.node, "Remove", () => viewer.remove(), "Take the chosen measurement away (Delete)");
    this.legend = new Legend(viewer, this.node);
    this.node.append(el("hr"));
    this.invert = button(this.node, "Inverted", () => viewer.invert(), "Key I");
    this.flip = button(this.node, "Mirrored", () => viewer.flip(viewer.active), "Key H");
    button(this.node, "Turn", () => viewer.rotate(viewer.active), "Quarter turn clockwise (R)");
    button(this.node, "Fit", () => viewer.fit(viewer.active), "Whole image (0)");
    this.node.append(el("hr"));
    button(this.node, "Full screen", () => viewer.fullscreen(), "Key F");
    button(this.node, "Keys", () => viewer.help(), "Help sheet (?)");
  }

  update() {
    const { look, active } = this.viewer;
    for (const [name, b] of this.tools) pressed(b, look.tool === name);
    pressed(this.invert, look.invert);
    pressed(this.flip, active.view.flip);
    this.away.disabled = !look.marks.length;
    this.legend.update();
  }
}

/** The help sheet; Escape closes it. */
function helpSheet(tools) {
  const sheet = el("dialog", "help"), table = el("table");
  sheet.setAttribute("aria-label", "Keys and gestures");
  const named = tools.map((name) => TOOLS[name]).map(({ key, title }) => [key.toUpperCase(), title.toLowerCase()]);
  const rows = [...HELP, [named.map(([key]) => key).join(", "), named.map(([, title]) => title).join(", ")]];
  for (const [what, does] of rows) {
    const row = el("tr");
    row.append(el("th", "", what), el("td", "", does));
    table.append(row);
  }
  sheet.append(el("h2", "", "Keys and gestures"), table);
  button(sheet, "Close", () => sheet.close());
  sheet.onkeydown = (e) => e.stopPropagation();
  return sheet;
}
