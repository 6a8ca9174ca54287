// What was fetched: one table for all viewers of the window, bounded in bytes, emptied when the case closes.
// A token is unguessable and stands for one content only, so a url can be a key.

const KEEP_BYTES = 448e6;
const AT_ONCE = 4;
const PATIENCE = [500, 1000, 2000, 4000]; // ms before a dropped connection is tried again

const store = {
  entries: new Map(), // url -> { state: "wanted" | "ready" | "failed", data, said, ready }; oldest use first
  bytes: 0,
  owner: null,
  down: false, // whether the last request met no server
  session: "", // the secret of this browser session; it travels in a header, never in a url

  /** The bytes of a url as a typed array, if they are here. */
  get(url) {
    const entry = this.entries.get(url);
    if (entry?.state !== "ready") return null;
    this.entries.delete(url);
    this.entries.set(url, entry);
    return entry.data;
  },

  /** Why a url could not be fetched: a sentence of the server, "" for a lost one, null where nothing failed. */
  fault(url) {
    const entry = this.entries.get(url);
    return entry?.state === "failed" ? entry.said : null;
  },

  /** Fetch a url once; a promise of its bytes. What failed by a dropped connection is asked for again. */
  want(url, read, keep = false) {
    const known = this.entries.get(url);
    if (known && !(known.state === "failed" && known.again)) return known.ready;
    const entry = { state: "wanted", data: null, said: "", again: false, keep };
    this.entries.set(url, entry);
    entry.ready = this.ask(url).then((buffer) => {
      if (this.entries.get(url) !== entry) throw new Error("closed");
      Object.assign(entry, { state: "ready", data: read(buffer) });
      this.bytes += buffer.byteLength;
      this.shrink();
      return entry.data;
    });
    entry.ready.catch((error) => Object.assign(entry, { state: "failed", said: error.said ?? "", again: !error.status }));
    return entry.ready;
  },

  async ask(url) {
    for (let turn = 0; ; turn++) {
      let answer;
      try {
        answer = await fetch(url, { cache: "no-store", credentials: "same-origin", headers: { "X-Medimg-Session": this.session } });
        this.down = false;
        if (answer.ok) return await answer.arrayBuffer();
      } catch (error) { // no answer at all: the connection is down
        this.down = true;
        if (turn >= PATIENCE.length) throw error;
        await new Promise((go) => setTimeout(go, PATIENCE[turn]));
        continue;
      }
      const said = answer.status === 404 ? "" : await answer.text();
      throw Object.assign(new Error(String(answer.status)), { status: answer.status, said });
    }
  },

  /** Whether `more` bytes fit without letting anything go: what is fetched ahead must not drive out what is shown. */
  room(more) {
    return this.bytes + more <= KEEP_BYTES;
  },

  shrink() { // least recently used first
    for (const [url, entry] of this.entries) {
      if (this.bytes <= KEEP_BYTES || this.entries.size === 1) return;
      if (entry.state !== "ready") continue;
      this.entries.delete(url);
      this.bytes -= entry.data.byteLength;
    }
  },

  /** Say which case is open; everything of another one is forgotten, but what belongs to none. Returns whether it changed. */
  open(owner) {
    if (owner === this.owner) return false;
    this.owner = owner;
    for (const [url, entry] of this.entries) if (!entry.keep) this.entries.delete(url);
    this.bytes = [...this.entries.values()].reduce((sum, entry) => sum + (entry.data?.byteLength ?? 0), 0);
    return true;
  },
};

/** Links to files of the session, in the viewer and on the page around it: a bare link could not name the session. */
async function save(e) {
  const link = e.composedPath().find((node) => node.localName === "a" && node.download && node.pathname?.includes("/pixels/"));
  if (!link || e.defaultPrevented) return;
  e.preventDefault();
  try {
    const url = URL.createObjectURL(new Blob([await store.ask(link.href)]));
    Object.assign(document.createElement("a"), { href: url, download: link.download }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) {
    link.title = error.said || "It could not be saved.";
    if (!link.textContent.endsWith(" (not saved)")) link.textContent += " (not saved)";
  }
}
document.addEventListener("click", save);
