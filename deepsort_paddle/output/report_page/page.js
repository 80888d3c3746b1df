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
    status.textContent = "Track " + id + " from " + track.start.toFixed(2) + " s, frame " + track.frame + ".";
    if (video) {
      video.pause();
      video.currentTime = track.start + report.step / 2; // inside the frame, not on its edge
      const box = video.getBoundingClientRect();
      if (box.bottom < 80 || box.top > innerHeight - 80) video.scrollIntoView({ block: "start" });
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
