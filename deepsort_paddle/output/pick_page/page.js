"use strict";
(() => {
  const scene = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const svg = byId("scene"), shapes = byId("shapes"), list = byId("places"), text = byId("options");
  const [width, height] = scene.shown;
  const places = scene.places; // points are fractions of the frame
  let drawing = null; // the place that is being drawn
  let dragged = null; // the corner under the pointer

  const hints = {
    line: "Click where the line begins, then where it ends.",
    zone: "Click the corners; close the zone with its first corner, Enter or the button.",
    none: "Draw where to count, at people's feet. Corners can be dragged.",
  };

  function make(name, attributes, parent) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  function at(event) {
    const box = svg.getScreenCTM().inverse();
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(box);
    const inside = (value) => Math.min(1, Math.max(0, value));
    return [inside(point.x / width), inside(point.y / height)];
  }

  const pixels = ([x, y]) => [x * width, y * height];
  const unit = () => 1 / svg.getScreenCTM().a; // of a pixel on the screen

  // On the right of a line is the right hand of somebody who walks from its first point to its second.
  function arrow(place, group) {
    const [start, end] = place.points.map(pixels);
    const length = Math.hypot(end[0] - start[0], end[1] - start[1]) || 1;
    const along = [(end[0] - start[0]) / length, (end[1] - start[1]) / length];
    const right = [-along[1], along[0]];
    const size = 14 * unit();
    place.directions.forEach((word, index) => {
      const sign = index ? -1 : 1;
      const foot = [0, 1].map((axis) => start[axis] + (end[axis] - start[axis]) * (index ? 0.4 : 0.6));
      const tip = [0, 1].map((axis) => foot[axis] + sign * 2.2 * size * right[axis]);
      const sides = [-1, 1].map((side) => [0, 1].map((axis) => foot[axis] + side * 0.6 * size * along[axis]));
      make("polygon", { class: "arrow", points: [tip, ...sides].join(" ") }, group);
      label(word, [0, 1].map((axis) => tip[axis] + sign * 0.9 * size * right[axis]), group);
    });
  }

  function label(word, [x, y], group) {
    const node = make("text", { class: "label", x, y: y + 5 * unit() }, group);
    node.style.fontSize = 15 * unit() + "px";
    node.textContent = word;
  }

  function draw() {
    shapes.replaceChildren();
    places.forEach((place, index) => {
      const group = make("g", {}, shapes);
      const points = place.points.map(pixels).join(" ");
      const closed = place.kind === "zone" && place !== drawing;
      for (const kind of ["outline", "shape " + (closed ? "zone" : "")]) {
        make(closed ? "polygon" : "polyline", { class: kind, points }, group);
      }
      if (place.kind === "line" && place !== drawing) arrow(place, group);
      place.points.forEach((point, corner) => {
        const [cx, cy] = pixels(point);
        make("circle", { class: "corner", cx, cy, r: 7 * unit(), "data-place": index, "data-corner": corner }, group);
      });
      const top = place.points.reduce((best, point) => (point[1] < best[1] ? point : best));
      const [x, y] = pixels(top);
      label(place.name, [x, Math.max(y - 16 * unit(), 14 * unit())], group);
    });
    svg.classList.toggle("drawing", drawing !== null);
    for (const kind of ["line", "zone"]) byId(kind).setAttribute("aria-pressed", String(drawing?.kind === kind));
    byId("done").hidden = !(drawing?.kind === "zone" && drawing.points.length > 2);
    byId("hint").textContent = hints[drawing ? drawing.kind : "none"];
    write();
  }

  // What would end the quotes of a shell, or the parts of an option.
  const clean = (word) => word.replace(/["'`$\\!%\n\r]/g, "").trim();
  const cleanDirection = (word) => clean(word).replace(/[/:,]/g, "");

  function option(place) {
    const inPixels = document.querySelector("input[name=unit]:checked").value === "pixels";
    const number = ([x, y]) =>
      inPixels ? `${Math.round(x * scene.width)},${Math.round(y * scene.height)}` : `${+x.toFixed(4)},${+y.toFixed(4)}`;
    const [right, left] = place.directions.map(cleanDirection);
    const named = place.kind === "line" && right && left && right !== left && !(right === "to_right" && left === "to_left");
    return `--${place.kind} "${clean(place.name) || place.kind}:${place.points.map(number).join(",")}${named ? `:${right}/${left}` : ""}"`;
  }

  function write() {
    text.value = places.filter((place) => place !== drawing).map(option).join(" ");
    byId("copied").textContent = "";
  }

  function field(className, place, value, change, name) {
    const input = document.createElement("input");
    Object.assign(input, { className, value, ariaLabel: name });
    input.addEventListener("input", () => { change(input.value); draw(); });
    return input;
  }

  function button(word, action) {
    const node = document.createElement("button");
    Object.assign(node, { type: "button", textContent: word });
    node.addEventListener("click", () => { action(); refresh(); });
    return node;
  }

  // The list is made anew only when places come and go, so that a field keeps the cursor.
  function refresh() {
    list.replaceChildren(...places.filter((place) => place !== drawing).map((place) => {
      const item = document.createElement("li");
      const kind = document.createElement("span");
      Object.assign(kind, { className: "kind", textContent: place.kind });
      item.append(kind, field("name", place, place.name, (value) => { place.name = value; }, `Name of the ${place.kind}`));
      if (place.kind === "line") {
        place.directions.forEach((word, index) => item.append(field(
          "direction", place, word, (value) => { place.directions[index] = value; }, index ? "To the left" : "To the right")));
        item.append(button("Swap", () => { place.directions.reverse(); }));
      }
      item.append(button("Remove", () => { places.splice(places.indexOf(place), 1); }));
      return item;
    }));
    draw();
  }

  function freeName(kind) {
    const names = new Set(places.map((place) => place.name));
    let number = 1;
    while (names.has(number === 1 ? kind : `${kind} ${number}`)) number += 1;
    return number === 1 ? kind : `${kind} ${number}`;
  }

  function begin(kind) {
    cancel();
    drawing = { kind, name: freeName(kind), directions: kind === "line" ? ["in", "out"] : [], points: [] };
    draw();
  }

  function cancel() {
    const place = places.indexOf(drawing);
    if (place >= 0) places.splice(place, 1);
    drawing = null;
  }

  function finish() {
    if (!drawing || drawing.points.length < (drawing.kind === "line" ? 2 : 3)) return;
    drawing = null;
    refresh();
  }

  function near(first, second) {
    const [a, b] = [pixels(first), pixels(second)];
    return Math.hypot(a[0] - b[0], a[1] - b[1]) < 12 * unit();
  }

  svg.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const point = at(event);
    if (!drawing) {
      const corner = event.target.closest(".corner");
      if (corner) {
        dragged = places[corner.dataset.place].points[corner.dataset.corner];
        svg.setPointerCapture(event.pointerId);
      }
      return;
    }
    if (drawing.points.length > 2 && near(point, drawing.points[0])) return finish();
    const last = drawing.points.at(-1);
    if (last && near(point, last)) return undefined; // the second click of a double click
    if (!drawing.points.length) places.push(drawing);
    drawing.points.push(point);
    if (drawing.kind === "line" && drawing.points.length === 2) return finish();
    return draw();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    [dragged[0], dragged[1]] = at(event);
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => { dragged = null; });

  for (const kind of ["line", "zone"]) byId(kind).addEventListener("click", () => begin(kind));
  byId("done").addEventListener("click", finish);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drawing) { cancel(); draw(); }
    if (event.key === "Enter" && drawing) { event.preventDefault(); finish(); }
  });
  for (const input of document.querySelectorAll("input[name=unit]")) input.addEventListener("change", write);
  byId("copy").addEventListener("click", () => {
    const say = (copied) => { byId("copied").textContent = copied ? "copied" : "press Ctrl+C"; };
    text.select();
    if (navigator.clipboard) navigator.clipboard.writeText(text.value).then(() => say(true), () => say(document.execCommand("copy")));
    else say(document.execCommand("copy"));
  });
  addEventListener("resize", draw);
  refresh();
})();
