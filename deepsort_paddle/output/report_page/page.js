"use strict";
(function () {
  const report = JSON.parse(document.getElementById("tracks").textContent);
  const video = document.querySelector("video");
  const spot = document.getElementById("spot");
  const status = document.getElementById("status");
  const timeline = document.getElementById("timeline");
  const head = document.getElementById("playhead");
  let chosen = null;

  function choose(id) {
    const track = report.tracks[id];
    chosen = id;
    for (const button of document.querySelectorAll("button[data-track]")) {
      const own = button.dataset.track === id;
      button.classList.toggle("chosen", own);
      button.setAttribute("aria-pressed", own ? "true" : "false");
    }
    edit(id);
    status.textContent = "Track " + id + " from " + track.start.toFixed(2) + " s, frame " + track.frame + ".";
    if (video) {
      video.pause();
      video.currentTime = track.start + report.step / 2; // inside the frame, not on its edge
    }
    show();
  }

  // The box at a time, between the two samples around it; null in a gap. A sample: time, x, y, width, height.
  function boxAt(samples, time) {
    for (let i = 0; i < samples.length; i++) {
      const run = samples[i];
      if (time < run[0][0] - 0.001 || time > run[run.length - 1][0] + report.step) continue;
      let k = 0;
      while (k + 1 < run.length && run[k + 1][0] <= time) k++;
      const a = run[k], b = run[Math.min(k + 1, run.length - 1)];
      const share = b[0] > a[0] ? (time - a[0]) / (b[0] - a[0]) : 0;
      return a.slice(1).map((value, n) => value + share * (b[n + 1] - value));
    }
    return null;
  }

  function show() {
    if (!video) return;
    const time = video.currentTime;
    if (head && report.duration > 0) {
      const bar = timeline.querySelector("svg");
      const mark = head.firstElementChild;
      if (bar) {
        const left = bar.getBoundingClientRect().left - head.getBoundingClientRect().left;
        mark.style.left = left + bar.clientWidth * Math.min(1, time / report.duration) + "px";
        const axis = timeline.querySelector(".axis");
        const top = head.getBoundingClientRect().top;
        mark.style.height = axis.getBoundingClientRect().top - top + "px"; // the times stay readable
      }
    }
    const box = chosen === null ? null : boxAt(report.tracks[chosen].runs, time);
    spot.hidden = box === null;
    if (box) {
      const scale = video.clientWidth / report.width;
      const names = ["left", "top", "width", "height"];
      box.forEach((value, n) => { spot.style[names[n]] = value * scale + "px"; });
    }
  }

  // The frame that a time belongs to; the page knows the times of some frames.
  function frameAt(time) {
    const clock = report.clock;
    let k = 0;
    while (k + 2 < clock.length && clock[k + 1][1] <= time) k++;
    const a = clock[k], b = clock[Math.min(k + 1, clock.length - 1)];
    if (b[1] <= a[1]) return a[0];
    return Math.floor(a[0] + (time - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) + 0.01);
  }

  // Filter and order, of the timeline and the cards alike.
  function arrange() {
    const words = document.getElementById("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const least = parseFloat(document.getElementById("least").value) || 0;
    const order = document.getElementById("order").value;
    for (const id of ["timeline", "cards"]) {
      const place = document.getElementById(id), end = place.querySelector(".axis");
      const buttons = [...place.querySelectorAll(":scope > button[data-track]")];
      const value = (button) => Number(button.dataset[order]) * (order === "seconds" ? -1 : 1);
      buttons.sort((a, b) => value(a) - value(b) || Number(a.dataset.track) - Number(b.dataset.track));
      let visible = 0;
      for (const button of buttons) {
        const own = button.dataset.words.toLowerCase().split(/\s+/);
        // A number means this number; other words may be parts.
        const fits = words.every((word) => own.some((text) => /^\d+$/.test(word) ? text === word : text.includes(word)));
        button.hidden = !fits || Number(button.dataset.seconds) < least;
        visible += !button.hidden;
        place.insertBefore(button, end);
      }
      document.getElementById("shown").textContent = visible === buttons.length ? "" : visible + " of " + buttons.length;
    }
    show();
  }
  for (const name of ["input", "change"]) document.getElementById("filter").addEventListener(name, arrange);
  for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());

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
    const button = event.target.closest("button[data-track]");
    if (button) choose(button.dataset.track);
  });
  // Up and down move between rows, as in a list.
  timeline.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = step && document.activeElement[step];
    if (next && next.matches("button")) { next.focus(); event.preventDefault(); }
  });
  if (video) {
    for (const name of ["timeupdate", "seeked", "loadedmetadata"]) video.addEventListener(name, show);
    (function follow() { if (!video.paused) show(); requestAnimationFrame(follow); })();
    addEventListener("resize", show);
    timeline.addEventListener("scroll", show);
  }
})();
