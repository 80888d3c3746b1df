"use strict";
(function () {
  const report = JSON.parse(document.getElementById("tracks").textContent);
  const video = document.querySelector("video");
  const spot = document.getElementById("spot");
  const status = document.getElementById("status");
  const timeline = document.getElementById("timeline");
  const mark = document.querySelector("#playhead i");
  const rows = new Map([...timeline.querySelectorAll("button")].map((row) => [row.dataset.track, row]));
  let chosen = null;

  // A time of the video in words: of day where that is known.
  function label(time) {
    if (report.epoch !== null) {
      const text = new Date(report.epoch + Math.round(1000 * time)).toISOString();
      return report.dated ? text.slice(0, 19).replace("T", " ") : text.slice(11, 19);
    }
    if (report.tenths) return time.toFixed(1) + " s";
    const seconds = Math.round(time), two = (value) => String(value).padStart(2, "0");
    const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
    return (hours ? hours + ":" + two(minutes % 60) : minutes) + ":" + two(seconds % 60);
  }

  function seek(time) {
    if (!video) return;
    video.pause();
    video.currentTime = time + report.step / 2; // inside the frame, not on its edge
  }

  function choose(id) {
    const track = report.tracks[id];
    chosen = id;
    for (const button of document.querySelectorAll(`button.chosen, button[data-track="${id}"]`)) {
      const own = button.dataset.track === id;
      button.classList.toggle("chosen", own);
      if (button.hasAttribute("aria-pressed")) button.setAttribute("aria-pressed", own);
    }
    edit(id);
    status.textContent = track.label + " from " + label(track.start) + ", frame " + track.frame + ".";
    show();
  }

  // The time that was clicked in a row of the timeline; null where it has no bar.
  function clickedTime(row, track, event) {
    const place = row.querySelector("svg").getBoundingClientRect();
    const scale = report.duration / place.width, time = (event.clientX - place.left) * scale;
    const slack = 4 * scale; // pixels
    const run = track.runs.findIndex((run, n) => time >= run[0] - slack && time <= track.ends[n] + report.step + slack);
    return run < 0 ? null : Math.min(Math.max(time, track.runs[run][0]), track.ends[run]);
  }

  // The box of a track at a time; null in a gap. A run: seconds, x, y, width, height of each sample, end to end.
  function boxAt(track, time) {
    const found = track.runs.findIndex((run, n) => time >= run[0] - 0.001 && time <= track.ends[n] + report.step);
    if (found < 0) return null;
    const run = track.runs[found];
    let low = 0, high = run.length / 5 - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (run[5 * middle] <= time) low = middle; else high = middle - 1;
    }
    const a = run.slice(5 * low, 5 * low + 5), b = run.slice(5 * low + 5, 5 * low + 10);
    const share = b.length ? Math.max(0, time - a[0]) / (b[0] - a[0]) : 0;
    return [1, 2, 3, 4].map((n) => a[n] + share * ((b.length ? b[n] : a[n]) - a[n]));
  }

  // Playhead, and the frame around the chosen track.
  function show() {
    if (!video) return;
    if (mark) mark.style.left = 100 * Math.min(1, video.currentTime / report.duration) + "%";
    const box = chosen === null ? null : boxAt(report.tracks[chosen], video.currentTime);
    spot.hidden = box === null;
    if (box) {
      const scale = video.clientWidth / report.width;
      ["left", "top", "width", "height"].forEach((name, n) => { spot.style[name] = box[n] * scale + "px"; });
    }
  }

  // The frame that a time belongs to; the page knows the times of some frames.
  function frameAt(time) {
    const frames = report.frames;
    let k = 0;
    while (k + 2 < frames.length && frames[k + 1][1] <= time) k++;
    const a = frames[k], b = frames[Math.min(k + 1, frames.length - 1)];
    if (b[1] <= a[1]) return a[0];
    return Math.floor(a[0] + (time - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) + 0.01);
  }

  // Filter and order, of the timeline, the cards and the events alike.
  function arrange() {
    const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = parseFloat(document.getElementById("least").value) || 0;
    const order = document.getElementById("order").value;
    const value = (button) => Number(button.dataset[order]) * (order === "seconds" ? -1 : 1);
    for (const place of [timeline, document.getElementById("cards")]) {
      const buttons = [...place.querySelectorAll(":scope > button")];
      const sorted = [...buttons].sort((a, b) => value(a) - value(b) || a.dataset.track - b.dataset.track);
      if (sorted.some((button, n) => button !== buttons[n])) place.prepend(...sorted);
      let visible = 0;
      for (const button of sorted) {
        const own = button.dataset.words.toLowerCase().split(/\s+/);
        // A number means this number; other words may be parts.
        const fits = words.every((word) => own.some((text) => /^\d+$/.test(word) ? text === word : text.includes(word)));
        button.hidden = !fits || Number(button.dataset.seconds) < least;
        visible += !button.hidden;
      }
      document.getElementById("shown").textContent = visible === buttons.length ? "" : visible + " of " + buttons.length;
    }
    list(PAGE);
  }

  // The events of the tracks that the filter shows, at most so many.
  const PAGE = 50;
  let listed = 0;
  function list(most) {
    if (!report.events.length) return;
    const [place, direction] = ["place", "direction"].map((id) => document.getElementById(id).value);
    const fits = report.events.filter((one) =>
      (!place || one[1] === place) && (!direction || one[2] === direction) && !rows.get(String(one[3])).hidden);
    listed = Math.min(most, fits.length);
    document.getElementById("list").replaceChildren(...fits.slice(0, listed).map(eventRow));
    document.getElementById("listed").textContent =
      fits.length === report.events.length ? fits.length + " in all" : fits.length + " of " + report.events.length;
    document.getElementById("more").hidden = listed === fits.length;
  }

  function eventRow([time, place, direction, track, stay]) {
    const item = document.createElement("li"), button = document.createElement("button");
    const dot = document.createElement("i");
    dot.style.background = rows.get(String(track)).querySelector("rect").getAttribute("fill");
    button.type = "button";
    button.dataset.track = track;
    button.dataset.at = time;
    button.classList.toggle("chosen", String(track) === chosen);
    const texts = [label(time), place, direction, report.tracks[track].label, stay === null ? "" : stay.toFixed(1) + " s"];
    button.append(...texts.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    button.children[3].prepend(dot);
    item.append(button);
    return item;
  }

  // Corrections: everything that was said so far, in the form in which it is saved.
  let edit = () => {};
  function correct(said) {
    const list = document.getElementById("said"), save = document.getElementById("save");
    const name = document.getElementById("name"), other = document.getElementById("other");
    let unsaved = false;

    edit = (id) => {
      document.getElementById("editor").hidden = false;
      name.value = said.names[id] || "";
      other.value = "";
    };

    function changed() {
      unsaved = true;
      write();
    }

    function write() {
      const lines = [
        ...said.splits.map((one) => ["Track " + one.track + " is " + one.new + " from frame " + one.frame + " on",
          () => forget(one)]),
        ...said.links.map((one) => [one.same ? one.tracks.join(" and ") + " are one person"
          : one.tracks.join(" and ") + " are two people", () => said.links.splice(said.links.indexOf(one), 1)]),
        ...Object.keys(said.names).map((id) => ["Track " + id + " is " + said.names[id], () => delete said.names[id]]),
      ];
      list.replaceChildren(...lines.map(([text, undo]) => {
        const item = document.createElement("li"), button = document.createElement("button");
        item.textContent = text;
        button.type = "button";
        button.textContent = "undo";
        button.addEventListener("click", () => { undo(); changed(); });
        item.append(button);
        return item;
      }));
      document.getElementById("nothing").hidden = lines.length > 0;
      save.disabled = !unsaved;
      for (const question of document.querySelectorAll(".question")) {
        const known = find(question.dataset.tracks.split(",").map(Number));
        for (const button of question.querySelectorAll("[data-same]")) {
          button.setAttribute("aria-pressed", known && String(known.same) === button.dataset.same ? "true" : "false");
        }
      }
    }

    // A split that is taken back takes along what was said of its piece.
    function forget(split) {
      said.splits = said.splits.filter((one) => one !== split);
      for (const one of said.splits.filter((one) => one.track === split.new)) forget(one);
      said.links = said.links.filter((one) => !one.tracks.includes(split.new));
      delete said.names[split.new];
    }

    function find(tracks) {
      return said.links.find((one) => tracks.every((track) => one.tracks.includes(track)));
    }

    function answer(tracks, same) {
      const known = find(tracks);
      if (known) said.links.splice(said.links.indexOf(known), 1);
      if (!known || known.same !== same) said.links.push({ tracks: tracks, same: same });
      changed();
    }

    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-same]");
      if (!button) return;
      answer(button.closest(".question").dataset.tracks.split(",").map(Number), button.dataset.same === "true");
    });
    name.addEventListener("change", () => {
      if (name.value.trim()) said.names[chosen] = name.value.trim();
      else delete said.names[chosen];
      changed();
    });
    document.getElementById("split").addEventListener("click", () => {
      const track = report.tracks[chosen];
      const frame = video ? frameAt(video.currentTime) : 0;
      if (frame <= track.frame || frame > track.last) {
        status.textContent = "Move the video to where track " + chosen + " changes to somebody else, then split.";
        return;
      }
      const ids = [...Object.keys(report.tracks).map(Number), ...said.splits.map((one) => one.new)];
      said.splits.push({ track: Number(chosen), frame: frame, new: Math.max(...ids) + 1 });
      changed();
    });
    for (const id of ["same", "different"]) document.getElementById(id).addEventListener("click", () => {
      const track = Number(other.value);
      const known = other.value in report.tracks || said.splits.some((one) => one.new === track);
      if (!known || track === Number(chosen)) {
        status.textContent = "Give the number of another track.";
        return;
      }
      answer([Number(chosen), track], id === "same");
    });
    save.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([JSON.stringify(said, null, 1) + "\n"], { type: "application/json" }));
      link.download = "corrections.json";
      link.click();
      unsaved = false;
      write();
    });
    addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
    document.getElementById("command").textContent =
      "deepsort-track VIDEO --apply corrections.json --index " + said.index;
    write();
  }
  if (report.corrections) correct(report.corrections);

  document.addEventListener("click", (event) => {
    const one = event.target.closest("[data-at], button[data-track]");
    if (!one) return;
    const track = report.tracks[one.dataset.track];
    let time = "at" in one.dataset ? Number(one.dataset.at) : track.start;
    // By the keyboard a row means its track; by the mouse, what was hit.
    if (timeline.contains(one) && event.detail) time = clickedTime(one, track, event);
    if (track) choose(one.dataset.track);
    if ("at" in one.dataset) {
      const parts = [...one.children].map((part) => part.textContent);
      status.textContent = track ? parts.filter(Boolean).join(", ") : "From " + label(time) + ".";
    }
    if (time !== null) seek(time);
  });
  // Up and down move between rows, as in a list.
  timeline.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    let next = step && document.activeElement[step];
    while (next && next.hidden) next = next[step];
    if (next && next.matches("button")) { next.focus(); event.preventDefault(); }
  });
  for (const name of ["input", "change"]) document.getElementById("filter").addEventListener(name, arrange);
  if (report.events.length) {
    document.getElementById("which").addEventListener("change", () => list(PAGE));
    document.getElementById("more").addEventListener("click", () => list(listed + PAGE));
    list(PAGE);
  }
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
  for (const input of document.querySelectorAll("[name=layer]")) input.addEventListener("change", () => {
    document.querySelectorAll("#heat .layer").forEach((layer, n) => layer.classList.toggle("shown", n === Number(input.value)));
    document.querySelectorAll("#heat .caption").forEach((caption, n) => { caption.hidden = n !== Number(input.value); });
  });
  if (video) {
    for (const name of ["timeupdate", "seeked", "loadedmetadata"]) video.addEventListener(name, show);
    video.addEventListener("play", function follow() {
      show();
      if (!video.paused) requestAnimationFrame(follow);
    });
    addEventListener("resize", show);
  }
})();
